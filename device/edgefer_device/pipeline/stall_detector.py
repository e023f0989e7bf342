"""When a live camera says nothing, or must not: what is then told instead of the last mood."""

from __future__ import annotations

from collections.abc import Callable

from edgefer.messages import Report
from edgefer_device.cameras.camera import Frame
from edgefer_device.system.clock import Clock

STALLED_SECONDS = 2.0
"""How long no frame may come before that is told: longer than the slowest exposure by night."""
PAUSED = "paused"
"""The problem that is told while the camera is closed on purpose."""


class StallDetector:
    """Counts the time without a frame; frames are noted in one thread and asked for in another."""

    def __init__(self, clock: Clock, paused: Callable[[], bool] = lambda: False) -> None:
        self._clock, self._paused = clock, paused
        # One tuple, so that another thread never sees the half of a change.
        self._last = (clock(), 0.0, 0)
        self._first: float | None = None

    def note(self, frame: Frame) -> None:
        """A frame came."""
        if self._first is None:
            self._first = frame.time
        self._last = (self._clock(), frame.time, frame.number)

    @property
    def elapsed(self) -> float:
        """Seconds on the camera's clock since its first frame, those of silence included."""
        came, time, _ = self._last
        return 0.0 if self._first is None else time - self._first + self._clock() - came

    def report(self) -> Report | None:
        """Return what is to be told now: nothing while frames come, else that nobody is seen."""
        came, time, number = self._last
        silent = self._clock() - came
        if self._paused():
            return Report(time + silent, number, (), None, None, problem=PAUSED)
        if silent < STALLED_SECONDS:
            return None
        problem = f"the camera has given no picture for {silent:.0f} s"
        return Report(time + silent, number, (), None, None, problem=problem)
