"""What is published: the state, the daemon's own figures, and which of it is news."""

from __future__ import annotations

import msgspec

from edgefer.messages import Report

STEP = 0.05
"""A confidence this far from the one published is worth saying."""
INTERVAL_SECONDS = 0.5
"""Least time between two states that differ in confidence alone, on the camera's clock."""


class State(msgspec.Struct, frozen=True):
    """What stands at `TOPIC/state`."""

    mood: str | None
    """None when there is no face."""
    confidence: float | None
    """Smoothed probability of `mood`, 0..1."""
    faces: int
    time: float
    """Seconds on the camera's clock."""
    reason: str | None = None
    """Why the mood is `unknown`; None when it is not."""
    problem: str | None = None
    """Why nothing can be seen; None while the camera gives pictures."""
    paused: bool = False
    """Whether nothing is looked at, because somebody asked for that."""

    @classmethod
    def of(cls, report: Report) -> State:
        """Return what a report says, in short."""
        confidence = None if report.confidence is None else round(report.confidence, 3)
        faces, time = len(report.faces), round(report.time, 3)
        return cls(report.mood, confidence, faces, time, report.reason, report.problem)

    @classmethod
    def at_rest(cls, time: float) -> State:
        """Return what is said while nothing is looked at."""
        return cls(None, None, 0, time, paused=True)

    def is_news(self, before: State | None) -> bool:
        """Whether to say this, given what was said before."""
        if before is None or self._gist() != before._gist():
            return True
        moved = abs((self.confidence or 0) - (before.confidence or 0)) >= STEP
        return moved and self.time - before.time >= INTERVAL_SECONDS

    def _gist(self) -> tuple[object, ...]:
        """Return what is said at once when it changes; a problem's words count its seconds."""
        return self.mood, self.faces, self.reason, self.problem is None, self.paused


class Diagnostics(msgspec.Struct, frozen=True):
    """What stands at `TOPIC/diagnostics`."""

    frame_rate: float
    """Reports a second since the last diagnostics."""
    inference_ms: float | None
    """Milliseconds from a frame to its report, the last seconds' mean; None before the first."""
    temperature: float | None
    """Of the processor, degrees Celsius; None where the system does not tell."""
    model: str
    """Name of the model bundle, and the beginning of its hash."""
    version: str
    """Of edgefer."""
