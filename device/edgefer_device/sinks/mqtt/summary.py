"""What was seen in the last ten minutes and today: automations need it, one mood flickers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from datetime import date, datetime

import msgspec

from edgefer.labels import UNKNOWN
from edgefer.messages import Report
from edgefer_device.system.clock import Clock, Stopwatch

WINDOW_SECONDS = 600.0
LEAST_SECONDS = 60.0
"""That a face must have been seen in the window: a glance has no mood of ten minutes."""
GRAIN_SECONDS = 5.0
"""Length of one entry of the window."""
SMILE = "happy"


class Summary(msgspec.Struct, frozen=True):
    """Payload of `TOPIC/summary`."""

    mood: str | None
    """Seen longest in the last ten minutes; None where hardly anybody was there."""
    smiles: float | None
    """Share of the time with a readable face, percent, since midnight or the daemon's start."""


class MoodSums:
    """Add up for how long each mood was seen."""

    def __init__(self, clock: Clock, today: Callable[[], date] | None = None) -> None:
        self._clock, self._stopwatch = clock, Stopwatch(clock)
        self._today = today or (lambda: datetime.now().date())
        self._window: deque[tuple[float, Counter[str]]] = deque()
        self._date, self._day = self._today(), Counter[str]()
        self._mood: str | None = None

    def add(self, report: Report) -> None:
        """Count the time since the last report for the mood that it showed."""
        mood, passed = self._mood, self._stopwatch.lap()
        self._mood = report.mood
        if mood is None or report.problem is not None:
            return
        now = self._forget()
        if not self._window or now - self._window[-1][0] >= GRAIN_SECONDS:
            self._window.append((now, Counter()))
        self._window[-1][1][mood] += passed  # type: ignore[assignment]  # Counter of seconds
        self._new_day()
        self._day[mood] += passed  # type: ignore[assignment]  # as above

    def summary(self) -> Summary:
        """Return both, as of now."""
        self._forget()
        self._new_day()
        return Summary(self._longest(), self._smiles())

    def _forget(self) -> float:
        """Drop what is older than the window; return the time."""
        now = self._clock()
        while self._window and self._window[0][0] < now - WINDOW_SECONDS:
            self._window.popleft()
        return now

    def _longest(self) -> str | None:
        held = sum((each for _, each in self._window), Counter[str]())
        if held.total() < LEAST_SECONDS:
            return None
        unsure = held.pop(UNKNOWN, 0)
        return held.most_common(1)[0][0] if held.total() >= unsure else UNKNOWN

    def _smiles(self) -> float | None:
        seen = self._day.total() - self._day[UNKNOWN]
        return round(100 * self._day[SMILE] / seen, 1) if seen >= 1 else None

    def _new_day(self) -> None:
        if (today := self._today()) != self._date:
            self._date = today
            self._day.clear()
