"""The running pipeline: a capture thread, an inference thread, and a task for each sink.

    camera ──▶ capture ──LatestSlot──▶ inference ──SinkQueue──▶ sink
               thread     (newest)     thread       (each)      task

A live camera never waits: frames and reports that come too fast are dropped, oldest first, and
counted. A clip waits, so that everything in it is reported. While a live camera stalls, or
everything is paused, that is reported in place of the last mood.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from edgefer.messages import Report
from edgefer_device.cameras.camera import Camera, Frame, always
from edgefer_device.pipeline.frame_rate import FrameRate
from edgefer_device.pipeline.health import Health, StallDetector
from edgefer_device.pipeline.latest_slot import LatestSlot
from edgefer_device.pipeline.sink import Sink, SinkQueue
from edgefer_device.system.clock import Clock
from edgefer_device.system.tasks import Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """When to end by itself; None is never."""

    frames: int | None = None
    """Reports made."""
    seconds: float | None = None
    """On the camera's clock, from its first frame taken."""

    def reached(self, frames: int, seconds: float) -> bool:
        """Whether so many reports, or so much time, is enough."""
        enough = self.frames is not None and frames >= self.frames
        return enough or (self.seconds is not None and seconds >= self.seconds)


@dataclass(frozen=True, slots=True)
class Timing:
    """Deadlines of a pipeline, seconds."""

    stalled: float = 2.0
    """Without a frame, after which that is reported: longer than the slowest exposure by night."""
    repeat: float = 1.0
    """Between two reports of a stall or a pause."""
    join: float = 3.0
    """How long a thread may take to end."""
    drain: float = 3.0
    """How long sinks may take for their last reports; a clip that is not stopped waits for ever."""


class Analyzer(Protocol):
    """What the pipeline needs of an analyzer."""

    @property
    def has_unconfirmed(self) -> bool:
        """Whether something is tracked that may be a face."""
        ...

    def process(self, frame: Frame) -> Report:
        """Return what a frame shows; frames come in order."""
        ...


class Pipeline:
    """Runs once, from the camera's first frame to its last or to `stop`."""

    def __init__(  # noqa: PLR0913 - the parts of the whole, each with a seam of its own
        self,
        camera: Camera,
        analyzer: Analyzer,
        sinks: Sequence[Sink],
        clock: Clock = time.monotonic,
        *,
        health: Health | None = None,
        frame_rate: FrameRate | None = None,
        paused: Callable[[], bool] = lambda: False,
        timing: Timing | None = None,
    ) -> None:
        """Take the parts; while `paused` returns true, no mood reaches a sink.

        Without a `frame_rate` every frame is due, as is every frame of a clip.
        """
        self._camera, self._analyzer, self._sinks = camera, analyzer, sinks
        self._health, self._frame_rate = health or Health(clock), frame_rate
        self._clock, self._paused, self._timing = clock, paused, timing or Timing()
        self._frames: LatestSlot[Frame] = LatestSlot(lossy=camera.live)
        self._queues = [
            SinkQueue(sink, camera.live, self._health.monitor_of(sink)) for sink in sinks
        ]
        self._stall = StallDetector(clock, paused, self._timing.stalled)
        self._stopping = asyncio.Event()
        self.started = asyncio.Event()
        """Set once every sink is entered and frames are taken."""
        self._halted = False
        self._offering: asyncio.Task[None] | None = None
        self._stalled_at = float("-inf")

    def stop(self) -> None:
        """End soon and clean; on the event loop's thread, before or during `run`, and again."""
        self._stopping.set()
        self._halt()

    async def run(self, limit: Limit | None = None) -> None:
        """Run until the camera ends, `stop`, or the limit.

        Raises what the camera, the inference or a sink raised, once the reports
        made before were handed to the sinks.
        """
        try:
            async with AsyncExitStack() as entered:
                for sink in self._sinks:
                    await entered.enter_async_context(sink)
                    self._health.monitor_of(sink).done()
                await self._flow(limit or Limit())
        finally:
            self._camera.close()

    async def _flow(self, limit: Limit) -> None:
        capture = Worker("capture", self._capture)
        loop = asyncio.get_running_loop()
        inference = Worker("inference", lambda: self._infer(limit, loop))
        deliveries = [asyncio.create_task(queue.deliver()) for queue in self._queues]
        self._stall = StallDetector(self._clock, self._paused, self._timing.stalled)
        watching = asyncio.create_task(self._report_stalls(limit), name="stall detector")
        capture.start()
        inference.start()
        self.started.set()
        # A delivery that is done while reports still come has failed.
        await asyncio.wait([inference.done, *deliveries], return_when=asyncio.FIRST_COMPLETED)
        self._halt()
        watching.cancel()
        for worker in (inference, capture):
            if not await worker.join(self._timing.join):
                log.warning("the %s thread did not end within %g s", worker.name, self._timing.join)
        await self._drain(deliveries)
        ends: list[asyncio.Future[None]] = [capture.done, inference.done, watching, *deliveries]
        # All are read: asyncio complains of errors that are never retrieved.
        errors = [end.exception() for end in ends if end.done() and not end.cancelled()]
        for error in filter(None, errors):
            raise error

    def _capture(self) -> None:
        """Work of the capture thread: put frames into the slot as they come."""
        health, rate = self._health, self._frame_rate
        due = rate.due if rate is not None and self._camera.live else always
        try:
            health.camera.begin()
            for frame in self._camera.frames(due):
                self._stall.on_frame(frame)
                health.on_frame(frame.number)
                if not self._frames.put(frame):
                    return
                health.inference.dropped = self._frames.dropped
                health.camera.begin()
        finally:
            self._frames.end()

    def _infer(self, limit: Limit, loop: asyncio.AbstractEventLoop) -> None:
        """Work of the inference thread: a report for every frame taken from the slot."""
        made, start = 0, None
        while (frame := self._frames.take()) is not None:
            start = frame.time if start is None else start
            report = self._analyzer.process(frame)
            if self._frame_rate is not None:
                # What may be a face is reason enough: it is confirmed by several frames.
                present = bool(report.faces) or self._analyzer.has_unconfirmed
                self._frame_rate.on_face(frame.time, present)
            offered = asyncio.run_coroutine_threadsafe(self._offer(report), loop)
            made += 1
            try:
                offered.result()
            except CancelledError:
                return
            if limit.reached(made, frame.time - start):
                return

    async def _report_stalls(self, limit: Limit) -> None:
        """Report that a live camera stalls, or a pause; a limit of time ends them too."""
        while not self._halted:
            await asyncio.sleep(self._timing.repeat)
            report = self._stall.report() if self._camera.live or self._paused() else None
            if report is None or self._halted:
                continue
            self._stalled_at = report.time
            await self._enqueue(report)
            if limit.reached(0, self._stall.elapsed):
                self._halt()

    async def _offer(self, report: Report) -> None:
        """Queue a report for every sink, unless the end or a pause has begun."""
        if self._halted or self._paused():
            return
        if self._camera.live and report.time < self._stalled_at:
            # It was on its way while the stall was reported; the next one follows at once.
            return
        self._offering = asyncio.current_task()
        await self._enqueue(report)

    async def _enqueue(self, report: Report) -> None:
        self._health.on_report(report)
        for queue in self._queues:
            await queue.offer(report)

    def _halt(self) -> None:
        """Take no more from the camera, and end every wait."""
        self._halted = True
        self._frames.end(drop=True)
        self._camera.close()
        if self._offering is not None:
            self._offering.cancel()

    async def _drain(self, deliveries: Sequence[asyncio.Task[None]]) -> None:
        """Deliver what is left; what takes too long is given up."""
        if not deliveries:
            return
        for queue in self._queues:
            await queue.end()
        rest = asyncio.gather(*deliveries, return_exceptions=True)
        if not self._camera.live:
            stopping = asyncio.ensure_future(self._stopping.wait())
            either: list[asyncio.Future[Any]] = [rest, stopping]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        await asyncio.wait([rest], timeout=self._timing.drain)
        for delivery in deliveries:
            delivery.cancel()
        await rest
