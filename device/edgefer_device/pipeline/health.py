"""Whether the camera, the inference and each sink meet their deadlines, and what they drop.

A part is judged by what was requested of it and not delivered, never by time alone: a
camera that is asked for no frame is ok, one that was asked a while ago is not.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from edgefer.messages import Report
from edgefer_device.cameras.camera import Frame
from edgefer_device.system.clock import Clock

S = TypeVar("S")

CAMERA_SECONDS = 5.0
"""How long a frame may take; a camera that reopens by itself needs a few of these."""
INFERENCE_SECONDS = 5.0
"""How long a frame may wait for its report."""
SINK_SECONDS = 10.0
"""How long a sink may hold one report."""
PAUSED = "paused"
"""The problem that is reported while the camera is closed on purpose."""
FADING = 0.1
"""What the newest frame weighs in the mean time of an analysis."""
REMEMBERED = 64
"""Frames whose time of capture is kept until their report comes."""


class Part(msgspec.Struct, frozen=True):
    """State of one part of the daemon."""

    ok: bool
    age: float | None
    """Seconds since it last did its work; None when it never has."""
    note: str | None = None
    """Why it is not ok, or why nothing is asked of it."""
    dropped: int = 0
    """Of a live camera: frames replaced by newer ones before the inference took them, or reports
    that a sink was too slow for; since the start."""


class State(msgspec.Struct, frozen=True):
    """State of the whole daemon; the JSON of `/healthz`."""

    ok: bool
    """Whether every part is."""
    camera: Part
    inference: Part
    sinks: dict[str, Part]
    """By the sink's name: its scheme, with a number where there are several."""

    @property
    def parts(self) -> dict[str, Part]:
        """Every part by name."""
        return {"camera": self.camera, "inference": self.inference, **self.sinks}


@runtime_checkable
class ReportsFault(Protocol):
    """A sink that takes reports even while it cannot deliver them."""

    @property
    def fault(self) -> str | None:
        """What is wrong now, in a few words; None when nothing is."""
        ...


class DeadlineMonitor:
    """When work was requested of a part, and when it was last done; for any thread."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self._clock, self._limit = clock, limit
        self._requested: float | None = None
        self._done: float | None = None
        self.dropped = 0
        """Frames or reports that the part was too slow for."""

    def begin(self) -> None:
        """Request work; while some is outstanding, this changes nothing."""
        if self._requested is None:
            self._requested = self._clock()

    def restart(self) -> None:
        """Count the time of what is outstanding from now on."""
        if self._requested is not None:
            self._requested = self._clock()

    def done(self) -> None:
        """Record that the work was done."""
        self._done, self._requested = self._clock(), None

    def part(self, fault: str | None = None) -> Part:
        """Return the state; a `fault` that is known already goes before a missed deadline."""
        now, requested, done = self._clock(), self._requested, self._done
        age = None if done is None else round(now - done, 3)
        if fault is None and requested is not None and now - requested > self._limit:
            fault = f"silent for {now - requested:.0f} s"
        if fault is None and done is None:
            fault = "nothing yet"
        return Part(fault is None, age, fault, self.dropped)


class Health:
    """State of every part of one daemon; the pipeline feeds it, sinks only read it."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.camera = DeadlineMonitor(clock, CAMERA_SECONDS)
        self.inference = DeadlineMonitor(clock, INFERENCE_SECONDS)
        self._sinks: dict[str, tuple[object, DeadlineMonitor]] = {}
        self._captured: dict[int, float] = {}
        self._problem: str | None = None
        self._paused = False
        self.frames = 0
        """Frames that the camera has delivered."""
        self.analysed = 0
        """Reports that the inference has made."""
        self.inference_ms: float | None = None
        """Milliseconds that the last frames took to analyse, a mean that forgets; None before."""

    @property
    def paused(self) -> bool:
        """Whether the camera is closed on purpose: it and the inference are then ok."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._problem = None
        self.camera.restart()
        self.inference.restart()

    def watch_sink(self, name: str, sink: S) -> S:
        """Name a sink, uniquely, so that its deadlines and drops count; return it."""
        numbered = (f"{name} {number}" for number in itertools.count(2))
        name = next(free for free in itertools.chain([name], numbered) if free not in self._sinks)
        self._sinks[name] = sink, DeadlineMonitor(self._clock, SINK_SECONDS)
        return sink

    def monitor_of(self, sink: object) -> DeadlineMonitor:
        """Return the monitor of a watched sink; that of any other counts nowhere."""
        found = (monitor for watched, monitor in self._sinks.values() if watched is sink)
        return next(found, DeadlineMonitor(self._clock, SINK_SECONDS))

    def on_frame(self, number: int) -> None:
        """Record that the camera delivered a frame, whose report is now due."""
        self._problem = None
        self.camera.done()
        self.inference.begin()
        self.frames += 1
        # A camera that was reopened counts from 0: its frames are the newest all the same.
        self._captured.pop(number, None)
        self._captured[number] = self._clock()
        while len(self._captured) > REMEMBERED:
            del self._captured[next(iter(self._captured))]

    def on_latency(self, seconds: float) -> None:
        """Record how long the analysis of a frame took."""
        latest, mean = 1000 * seconds, self.inference_ms
        self.inference_ms = latest if mean is None else mean + FADING * (latest - mean)

    def on_report(self, report: Report) -> None:
        """Record a report; one of a problem is about the camera, not made by the inference."""
        if report.problem is None:
            self.inference.done()
            self.analysed += 1
        elif not self._paused:
            self._problem = report.problem

    def latency(self, report: Report) -> float | None:
        """Return the seconds since a report's frame was captured; None where that is unknown."""
        captured = None if report.problem else self._captured.get(report.frame)
        return None if captured is None else self._clock() - captured

    def state(self) -> State:
        """Judge every part."""
        sinks = {
            name: monitor.part(sink.fault if isinstance(sink, ReportsFault) else None)
            for name, (sink, monitor) in self._sinks.items()
        }
        if self.paused:
            camera = inference = Part(True, None, PAUSED)
        else:
            camera, inference = self.camera.part(self._problem), self.inference.part()
        ok = all(part.ok for part in (camera, inference, *sinks.values()))
        return State(ok, camera, inference, sinks)


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
