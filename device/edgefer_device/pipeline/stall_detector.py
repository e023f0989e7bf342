"""Detection of a live camera that stalls or is paused, and the report sent meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from edgefer.messages import Report
from edgefer_device.cameras.camera import Frame
from edgefer_device.system.clock import Clock

PAUSED = "paused"
"""The problem that is reported while the camera is closed on purpose."""


class StallDetector:
    """Time without a frame; `on_frame` is called in one thread and the rest in another."""

    def __init__(self, clock: Clock, paused: Callable[[], bool], limit: float) -> None:
        """Count as stalled after `limit` seconds without a frame."""
        self._clock, self._paused, self._limit = clock, paused, limit
        # One tuple, so that another thread never sees the half of a change.
        self._last = (clock(), 0.0, 0)
        self._first: float | None = None

    def on_frame(self, frame: Frame) -> None:
        """Record that a frame came."""
        if self._first is None:
            self._first = frame.time
        self._last = (self._clock(), frame.time, frame.number)

    @property
    def elapsed(self) -> float:
        """Seconds on the camera's clock since its first frame, stalls included."""
        came, time, _ = self._last
        return 0.0 if self._first is None else time - self._first + self._clock() - came

    def report(self) -> Report | None:
        """Return a report of the stall or the pause; None while frames come."""
        came, time, number = self._last
        waited = self._clock() - came
        if self._paused():
            return Report(time + waited, number, (), None, None, problem=PAUSED)
        if waited < self._limit:
            return None
        problem = f"the camera has given no frame for {waited:.0f} s"
        return Report(time + waited, number, (), None, None, problem=problem)
