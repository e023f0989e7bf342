"""The `[content]` table: rules, the library's sets, and the checks on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgefer.errors import SettingsError
from edgefer.labels import NOBODY, UNKNOWN
from edgefer.settings import nearest
from edgefer_device.sinks.content.rule import FROM_LIBRARY, Rule

SETS = {
    "compliments": Rule(arrival=True, rest=60, text=f"{FROM_LIBRARY}compliments"),
    "breathing": Rule(
        mood=("sad", "angry", "fear"), share=0.6, rest=120, text=f"{FROM_LIBRARY}breathing"
    ),
    "music": Rule(mood="sad", share=0.5, over=20, rest=240, text=f"{FROM_LIBRARY}music"),
}
"""When each set of the library is shown; a model without those moods never shows it."""


class ContentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[content]` table."""

    allow_commands: bool = False
    """Whether rules may start programs."""
    patience: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    """Seconds for which a mood may be interrupted and still hold."""
    library: tuple[Literal["compliments", "breathing", "music"], ...] = ()
    """Sets of lines to show: compliments to whoever comes, breathing after minutes of sad, angry
    or fear, music after many minutes of sad."""
    rule: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        numbers = [number for number, rule in enumerate(self.rule, 1) if rule.command]
        if numbers and not self.allow_commands:
            raise ValueError(
                f"rule {numbers[0]} starts a command, which is off by default; "
                "remove it, or set allow_commands = true in [content]"
            )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those of the configuration, and those of the library's sets."""
        return *self.rule, *(SETS[name] for name in self.library)


def check_rules(
    settings: ContentSettings, labels: Iterable[str], sinks: Iterable[str], source: str
) -> None:
    """Raise `SettingsError` for a mood that the model lacks, or a message without a broker."""
    labels = tuple(labels)
    has_broker = any(uri.partition(":")[0] in ("mqtt", "mqtts") for uri in sinks)
    for number, rule in enumerate(settings.rule, 1):
        for mood in rule.moods:
            check_mood(mood, labels, f"{source}: content rule {number}")
        if rule.mqtt and not has_broker:
            raise SettingsError(
                f"{source}: content rule {number} publishes by MQTT, but no sink is a broker; "
                "add mqtt://HOST/TOPIC to sinks"
            )


def check_mood(mood: str, labels: Iterable[str], source: str) -> None:
    """Raise `SettingsError` for what is no label, nor `unknown` or `nobody`."""
    known = [*labels, UNKNOWN, NOBODY]
    if mood not in known:
        guess = nearest(mood, known)
        hint = f"did you mean '{guess}'? Known" if guess else "known"
        raise SettingsError(f"{source}: unknown mood '{mood}'; {hint}: {', '.join(known)}")
