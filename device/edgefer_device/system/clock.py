"""Monotonic time, passed in by whoever builds a part; times of day and spans of time as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from typing import Literal, get_args

Clock = Callable[[], float]
"""Seconds that never run backwards."""

Hours = Literal[12, 24]
"""Of a clock."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
"""As `datetime.weekday` counts them."""

LONGEST_SECONDS = 2.0
"""A longer gap does not count: what was in view is unknown."""


class Stopwatch:
    """Returns the seconds between its laps."""

    def __init__(self, clock: Clock, longest: float = LONGEST_SECONDS) -> None:
        self._clock, self._longest = clock, longest
        self._last: float | None = None

    def lap(self) -> float:
        """Return the seconds since the last lap; 0 for the first, and after a gap."""
        now, before = self._clock(), self._last
        self._last = now
        passed = 0.0 if before is None else now - before
        return passed if 0 <= passed <= self._longest else 0.0

    def stop(self) -> None:
        """Forget the last lap: the next is a first one."""
        self._last = None


def time_words(moment: time, hours: Hours) -> str:
    """Return a time of day as a clock of so many hours has it: `21:05` or `9:05 pm`."""
    if hours == 24:
        return f"{moment:%H:%M}"
    return f"{moment.hour % 12 or 12}:{moment:%M} {'pm' if moment.hour >= 12 else 'am'}"


def duration(seconds: float) -> str:
    """Return a span of time as text: `45 s`, `12 min`, `3 h 05`, `2 d 07 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02} h"
    return f"{hours} h {minutes:02}" if hours else f"{minutes} min"
