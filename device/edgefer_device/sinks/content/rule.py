"""A content rule: what it is about, when it fires, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edgefer.labels import NOBODY
from edgefer_device.sinks.mqtt.broker import check_topic
from edgefer_device.system.clock import WEEKDAYS, Hours, Weekday, time_words
from edgefer_device.system.time_of_day import TimeOfDay, time_of_day

LONGEST_TEXT = 120
"""Characters that fit a line on the mirror."""
LIBRARY = {"compliments": 8, "breathing": 4, "music": 4}
"""Sets of lines that come with edgefer, and how many each has, in every language of the page."""
FROM_LIBRARY = "library:"
"""Before a set's name, in place of a text: `library:breathing`."""
GAPS = ("mood", "minutes")
"""What a text and a payload may name in braces."""
ARRIVAL_SECONDS = 60.0
"""For which somebody has just come."""


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


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule is asked about."""

    mood: str
    """A label, `unknown` or `nobody`."""
    minutes: float
    """For which one of the rule's moods has held."""
    now: datetime
    """Local time."""
    since_arrival: float
    """Seconds since somebody came who had been away."""
    share: Callable[[Callable[[str], bool], float], float]
    """Returns for how much of the last minutes, 0..1, moods were seen that a rule is about."""


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
    days: tuple[Weekday, ...] = ()
    """Days of the week; nothing means all."""
    begin: TimeOfDay = "00:00"
    """`from`, local time of day."""
    end: TimeOfDay = "00:00"
    """`to`, local time of day; earlier than `from` means on the next day."""
    minutes: Annotated[float, Meta(ge=0, le=1440)] = 0.0
    """How long the mood must have held."""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """For how much of the last `over` minutes the mood must have been seen."""
    over: Annotated[float, Meta(gt=0, le=120)] = 10.0
    """Minutes that `share` is of."""
    arrival: bool = False
    """Whether somebody must just have come, after half a minute with nobody."""
    rest: Annotated[float, Meta(ge=0, le=525600)] = 10.0
    """Minutes after which the rule may fire again, at the earliest."""
    text: str | tuple[str, ...] = ()
    """A line on the mirror page, or several of which one is chosen; `library:NAME` for a set."""
    link: str | None = None
    """Address that the line opens."""
    mqtt: Publication | None = None
    command: tuple[str, ...] = ()
    """A program and its arguments, run without a shell. Needs `allow_commands`."""
    timeout: Annotated[float, Meta(ge=0.01, le=3600)] = 10.0
    """Seconds after which the command is killed."""

    def __post_init__(self) -> None:
        for text in self.texts:
            _check_text(text)
        if self.link is not None and not (self.texts and is_web_address(self.link)):
            raise ValueError("link must be an http or https address, and needs a text beside it")
        if not (self.texts or self.mqtt or self.command):
            raise ValueError("a rule must have a text, an mqtt message or a command")

    @property
    def moods(self) -> tuple[str, ...]:
        """The moods that the rule applies to; empty for any face."""
        return (self.mood,) if isinstance(self.mood, str) else self.mood

    @property
    def texts(self) -> tuple[str, ...]:
        """The lines of which one is shown."""
        return ((self.text,) if self.text else ()) if isinstance(self.text, str) else self.text

    def applies_to(self, mood: str) -> bool:
        """Return whether a mood, or `nobody`, is one of the rule's."""
        return mood in self.moods if self.moods else mood != NOBODY

    @property
    def _span(self) -> tuple[time, time]:
        return time_of_day(self.begin), time_of_day(self.end)

    def covers(self, day: time) -> bool:
        """Return whether a time of day lies in `from` to `to`; equal ones mean all day."""
        begin, end = self._span
        if begin < end:
            return begin <= day < end
        return begin == end or day >= begin or day < end

    def refusals(self, at: Situation, hours: Hours = 24) -> Iterator[str]:
        """Yield why the rule does not fire, its rest aside; nothing where it does."""
        if not self.applies_to(at.mood):
            yield f"the mood is {at.mood}, not {' or '.join(self.moods) or 'any face'}"
        if self.days and (today := WEEKDAYS[at.now.weekday()]) not in self.days:
            yield f"the day is {today}, not {' or '.join(self.days)}"
        if not self.covers(at.now.time()):
            now, begin, end = (time_words(one, hours) for one in (at.now.time(), *self._span))
            yield f"the time is {now}, not from {begin} to {end}"
        if at.minutes < self.minutes:
            yield f"it has held for {at.minutes:g} min, not {self.minutes:g}"
        if self.share and (share := at.share(self.applies_to, self.over)) < self.share:
            yield f"it is {share:.0%} of the last {self.over:g} min, not {self.share:.0%}"
        if self.arrival and at.since_arrival > ARRIVAL_SECONDS + 60 * self.minutes:
            yield "nobody has just come"


def _check_text(text: str) -> None:
    """Raise ValueError for a line that the page cannot show as it is meant."""
    if text.startswith(FROM_LIBRARY):
        if text.removeprefix(FROM_LIBRARY) not in LIBRARY:
            known = ", ".join(FROM_LIBRARY + name for name in LIBRARY)
            raise ValueError(f"text must be one of {known}, got {text!r}")
        return
    if not text or len(text) > LONGEST_TEXT or not text.isprintable():
        raise ValueError(f"text must be one line of at most {LONGEST_TEXT} characters")
    if strange := [gap for gap in re.findall(r"{(\w*)}", text) if gap not in GAPS]:
        raise ValueError(f"text knows {{mood}} and {{minutes}}, not {{{strange[0]}}}")


def is_web_address(text: str) -> bool:
    """Return whether a text is an http or https address with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
