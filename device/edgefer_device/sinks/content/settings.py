"""The `[content]` table: rules, and the checks on them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edgefer.errors import SettingsError
from edgefer.labels import NOBODY, UNKNOWN
from edgefer.settings import nearest
from edgefer_device.sinks.mqtt.broker import check_topic

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_TEXT = 120
"""Characters that fit a line on the mirror."""


class Publication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message to the broker that the configuration's `mqtt:` sink names."""

    topic: str
    """Where it is published, below no prefix."""
    payload: str = ""
    """Text, sent as it is."""
    retain: bool = False
    """Whether the broker keeps it for later subscribers."""

    def __post_init__(self) -> None:
        check_topic("topic", self.topic)


class Rule(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"begin": "from", "end": "to"},
):
    """What to do when one of some moods holds: at least one of text, mqtt and command."""

    mood: str | tuple[str, ...] = ()
    """A label, `unknown`, `nobody`, or several; nothing means any face, whatever it shows."""
    begin: str = "00:00"
    """`from`, local time of day."""
    end: str = "00:00"
    """`to`, local time of day; earlier than `from` means on the next day."""
    minutes: Annotated[float, Meta(ge=0, le=1440)] = 0.0
    """How long the mood must have held."""
    rest: Annotated[float, Meta(ge=0, le=525600)] = 10.0
    """Minutes after which the rule may fire again, at the earliest."""
    text: str = ""
    """A line on the mirror page."""
    link: str | None = None
    """Address that the line opens."""
    mqtt: Publication | None = None
    command: tuple[str, ...] = ()
    """A program and its arguments, run without a shell. Needs `allow_commands`."""
    timeout: Annotated[float, Meta(ge=0.01, le=3600)] = 10.0
    """Seconds after which the command is killed."""

    def __post_init__(self) -> None:
        self.covers(time_of_day(self.begin))
        time_of_day(self.end)
        if len(self.text) > LONGEST_TEXT or not self.text.isprintable():
            raise ValueError(f"text must be one line of at most {LONGEST_TEXT} characters")
        if self.link is not None and not (self.text and is_web_address(self.link)):
            raise ValueError("link must be an http or https address, and needs a text beside it")
        if not (self.text or self.mqtt or self.command):
            raise ValueError("a rule must have a text, an mqtt message or a command")

    @property
    def moods(self) -> tuple[str, ...]:
        """The moods that the rule applies to; empty for any face."""
        return (self.mood,) if isinstance(self.mood, str) else self.mood

    def applies_to(self, mood: str) -> bool:
        """Return whether a mood, or `nobody`, is one of the rule's."""
        return mood in self.moods if self.moods else mood != NOBODY

    def covers(self, day: time) -> bool:
        """Return whether a time of day lies in `from` to `to`; equal ones mean all day."""
        begin, end = time_of_day(self.begin), time_of_day(self.end)
        if begin < end:
            return begin <= day < end
        return begin == end or day >= begin or day < end


class ContentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[content]` table."""

    allow_commands: bool = False
    """Whether rules may start programs."""
    patience: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    """Seconds for which a mood may be interrupted and still hold."""
    rule: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        numbers = [number for number, rule in enumerate(self.rule, 1) if rule.command]
        if numbers and not self.allow_commands:
            raise ValueError(
                f"rule {numbers[0]} starts a command, which is off by default; "
                "remove it, or set allow_commands = true in [content]"
            )


def check_rules(
    settings: ContentSettings, labels: Iterable[str], sinks: Iterable[str], source: str
) -> None:
    """Raise `SettingsError` for a mood that the model lacks, or a message without a broker."""
    known = [*labels, UNKNOWN, NOBODY]
    has_broker = any(uri.partition(":")[0] in ("mqtt", "mqtts") for uri in sinks)
    for number, rule in enumerate(settings.rule, 1):
        for mood in rule.moods:
            if mood not in known:
                guess = nearest(mood, known)
                hint = f"did you mean '{guess}'? Known" if guess else "known"
                raise SettingsError(
                    f"{source}: content rule {number}: unknown mood '{mood}'; "
                    f"{hint}: {', '.join(known)}"
                )
        if rule.mqtt and not has_broker:
            raise SettingsError(
                f"{source}: content rule {number} publishes by MQTT, but no sink is a broker; "
                "add mqtt://HOST/TOPIC to sinks"
            )


def time_of_day(text: str) -> time:
    """Read `HH:MM`; raise ValueError for anything else."""
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise ValueError(f"expected a time of day such as 06:30, got '{text}'") from None


def weekday(text: str) -> int:
    """Read one of `WEEKDAYS` as Python counts them, Monday 0; raise ValueError otherwise."""
    if text not in WEEKDAYS:
        raise ValueError(f"expected a day such as mon or sun, got '{text}'")
    return WEEKDAYS.index(text)


def is_web_address(text: str) -> bool:
    """Return whether a text is an http or https address with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
