"""The `[content]` table: rules, the library's sets, and the checks on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgefer.labels import NOBODY, UNKNOWN
from edgefer.settings import TOML, Problem, nearest
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
                f"{key_of(numbers[0], 'command')} is off by default; remove it, or set "
                "allow_commands = true in [content]"
            )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those of the configuration, and those of the library's sets."""
        return *self.rule, *(SETS[name] for name in self.library)


def key_of(number: int, key: str) -> str:
    """Return a rule's key as errors name it."""
    return TOML.element.format(key="content.rule", number=number) + key


def rule_problems(
    settings: ContentSettings, labels: Iterable[str], sinks: Iterable[str]
) -> Iterator[Problem]:
    """Yield each mood that the model lacks, and each message without a broker."""
    labels = tuple(labels)
    has_broker = any(uri.partition(":")[0] in ("mqtt", "mqtts") for uri in sinks)
    for number, rule in enumerate(settings.rule, 1):
        for error in filter(None, (mood_error(mood, labels) for mood in rule.moods)):
            yield Problem(key_of(number, "mood"), f": {error}")
        if rule.mqtt and not has_broker:
            error = "publishes, but no sink is a broker; add mqtt://HOST/TOPIC to sinks"
            yield Problem(key_of(number, "mqtt"), error)


def mood_error(mood: str, labels: Iterable[str]) -> str | None:
    """Return what to say of a mood that is no label, nor `unknown` or `nobody`; else None."""
    known = [*labels, UNKNOWN, NOBODY]
    if mood in known:
        return None
    guess = nearest(mood, known)
    hint = f"did you mean '{guess}'? Known" if guess else "known"
    return f"unknown mood '{mood}'; {hint}: {', '.join(known)}"
