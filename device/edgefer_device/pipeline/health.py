"""Whether the camera, the inference and each sink still do their work.

A part is judged by what was asked of it and not given, never by silence alone: a
camera that nobody asks for a frame is well, one that was asked a while ago is not.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import msgspec
from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.cameras.camera import Camera, Due, Frame, always
from edgefer_device.pipeline.sink import Sink
from edgefer_device.system.clock import Clock

CAMERA_SECONDS = 5.0
"""How long a frame may take; a camera that reopens by itself needs a few of these."""
INFERENCE_SECONDS = 5.0
"""How long a frame may wait for its report."""
SINK_SECONDS = 10.0
"""How long a sink may hold one report."""
FADING = 0.1
"""What the newest frame weighs in the mean time of an analysis."""
REMEMBERED = 64
"""Frames whose time of capture is kept until their report comes."""


class Part(msgspec.Struct, frozen=True):
    """How one part of the daemon is."""

    ok: bool
    age: float | None
    """Seconds since it last did its work; None when it never has."""
    note: str | None = None
    """Why it is not well, or why nothing is asked of it."""


class State(msgspec.Struct, frozen=True):
    """How the whole is; the JSON of `/healthz`."""

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
    """A sink that takes reports even while it cannot pass them on, and says so here."""

    @property
    def fault(self) -> str | None:
        """What is wrong now, in a few words; None when nothing is."""
        ...


class DeadlineMonitor:
    """When a part was asked for something, and when it last gave it; any thread may tell."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self._clock, self._limit = clock, limit
        self._asked: float | None = None
        self._given: float | None = None

    def begin(self) -> None:
        """Something is asked for; while it is, asking again changes nothing."""
        if self._asked is None:
            self._asked = self._clock()

    def again(self) -> None:
        """What was asked for is asked for from now on: the time before does not count."""
        if self._asked is not None:
            self._asked = self._clock()

    def done(self) -> None:
        """It was given."""
        self._given, self._asked = self._clock(), None

    def part(self, fault: str | None = None) -> Part:
        """Judge."""
        now, asked, given = self._clock(), self._asked, self._given
        age = None if given is None else round(now - given, 3)
        if fault is None and asked is not None and now - asked > self._limit:
            fault = f"silent for {now - asked:.0f} s"
        if fault is None and given is None:
            fault = "nothing yet"
        return Part(fault is None, age, fault)


class Health:
    """Knows how every part of one daemon is."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._camera = DeadlineMonitor(clock, CAMERA_SECONDS)
        self._inference = DeadlineMonitor(clock, INFERENCE_SECONDS)
        self._sinks: dict[str, WatchedSink] = {}
        self._taken: dict[int, float] = {}
        self._problem: str | None = None
        self._paused = False
        self.frames = 0
        """Frames that the camera has given."""
        self.analysed = 0
        """Reports that the inference has made."""
        self.inference_ms: float | None = None
        """Milliseconds that the last frames took to analyse, a mean that forgets; None before."""

    @property
    def paused(self) -> bool:
        """Whether the camera is closed on purpose: it and the inference are then well."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._problem = None
        self._camera.again()
        self._inference.again()

    def watch(self, camera: Camera) -> Camera:
        """Return the camera, its frames counted and timed."""
        return WatchedCamera(camera, self)

    def watch_sink(self, name: str, sink: Sink) -> Sink:
        """Return the sink under a name that no other has, each report timed."""
        numbered = (f"{name} {number}" for number in itertools.count(2))
        name = next(free for free in itertools.chain([name], numbered) if free not in self._sinks)
        self._sinks[name] = watched = WatchedSink(sink, DeadlineMonitor(self._clock, SINK_SECONDS))
        return watched

    def asked_for_frame(self) -> None:
        """The camera is asked for its next frame."""
        self._camera.begin()

    def frame_came(self, frame: Frame) -> None:
        """The camera gave a frame, and the inference is asked for its report."""
        self._problem = None
        self._camera.done()
        self._inference.begin()
        self.frames += 1
        # A camera that was opened again counts from 0: its frames are the newest all the same.
        self._taken.pop(frame.number, None)
        self._taken[frame.number] = self._clock()
        while len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]

    def on_latency(self, seconds: float) -> None:
        """A frame was analysed in so many seconds."""
        fresh, before = 1000 * seconds, self.inference_ms
        self.inference_ms = fresh if before is None else before + FADING * (fresh - before)

    def report_came(self, report: Report) -> float | None:
        """A report came; return the seconds since its frame was captured.

        One that tells of a problem was not made by the inference: it speaks of the camera.
        """
        if report.problem is not None:
            self._problem = None if self._paused else report.problem
            return None
        self._inference.done()
        self.analysed += 1
        taken = self._taken.get(report.frame)
        return None if taken is None else self._clock() - taken

    def state(self) -> State:
        """Judge every part."""
        sinks = {name: sink.part() for name, sink in self._sinks.items()}
        if self.paused:
            resting = Part(True, None, "paused")
            camera = inference = resting
        else:
            camera, inference = self._camera.part(self._problem), self._inference.part()
        ok = all(part.ok for part in (camera, inference, *sinks.values()))
        return State(ok, camera, inference, sinks)


class WatchedCamera:
    """A camera whose frames are counted and timed."""

    def __init__(self, camera: Camera, health: Health) -> None:
        self._camera, self._health = camera, health

    @property
    def live(self) -> bool:
        """As the camera's."""
        return self._camera.live

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the camera's frames; raises what it raises."""
        self._health.asked_for_frame()
        for frame in self._camera.frames(due):
            self._health.frame_came(frame)
            yield frame
            self._health.asked_for_frame()

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()


class WatchedSink:
    """A sink whose reports are timed; it also speaks for the sink's own troubles."""

    def __init__(self, sink: Sink, pulse: DeadlineMonitor) -> None:
        self._sink, self._pulse = sink, pulse

    async def __aenter__(self) -> Self:
        await self._sink.__aenter__()
        self._pulse.done()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._sink.__aexit__(*error)  # type: ignore[arg-type]  # as they were given

    async def publish(self, report: Report) -> None:
        """Hand the report on."""
        self._pulse.begin()
        await self._sink.publish(report)
        self._pulse.done()

    def part(self) -> Part:
        """Judge the sink."""
        return self._pulse.part(self._sink.fault if isinstance(self._sink, ReportsFault) else None)
