"""How long what was seen has held: the time between one report and the next."""

from __future__ import annotations

from edgefer_device.cameras.camera import Clock

LONGEST_SECONDS = 2.0
"""A longer silence counts for nothing: nobody knows what was to be seen in it."""


class Stopwatch:
    """Gives the seconds between its laps."""

    def __init__(self, clock: Clock, longest: float = LONGEST_SECONDS) -> None:
        self._clock, self._longest = clock, longest
        self._last: float | None = None

    def lap(self) -> float:
        """Return the seconds since the last lap; 0 for the first, and after a silence."""
        now, before = self._clock(), self._last
        self._last = now
        passed = 0.0 if before is None else now - before
        return passed if 0 <= passed <= self._longest else 0.0

    def stop(self) -> None:
        """Forget the last lap: what comes next is a first one."""
        self._last = None
