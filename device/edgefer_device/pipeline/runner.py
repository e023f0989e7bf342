"""The running whole: a camera's thread, an inference thread, and a task for each sink.

    camera ──▶ capture ──LatestSlot──▶ inference ──SinkQueue──▶ sink
               thread    (newest)    thread      (each)    task

A live camera never waits: frames and reports that come too fast are dropped,
oldest first. A clip waits, so that everything in it is reported. When a live camera
gives nothing, or everything is paused, that is reported in place of the last mood.
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
from edgefer_device.cameras.camera import Camera, Frame
from edgefer_device.pipeline.latest_slot import LatestSlot
from edgefer_device.pipeline.sink import Sink
from edgefer_device.pipeline.sink_queue import SinkQueue
from edgefer_device.pipeline.stall_detector import StallDetector
from edgefer_device.system.clock import Clock
from edgefer_device.system.worker import Worker

log = logging.getLogger(__name__)

LISTEN_SECONDS = 1.0
"""How often a camera that gives nothing is reported."""
JOIN_SECONDS = 3.0
"""How long a thread may take to end."""
DRAIN_SECONDS = 3.0
"""How long sinks may take for their last reports; a clip that nobody stopped waits for ever."""


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


class Analyzer(Protocol):
    """What the pipeline needs of an analyst."""

    def process(self, frame: Frame) -> Report:
        """Return what a frame shows; frames come in order."""
        ...


class Pipeline:
    """Runs once, from the camera's first frame to its last or to `stop`."""

    def __init__(
        self,
        camera: Camera,
        analyzer: Analyzer,
        sinks: Sequence[Sink],
        clock: Clock = time.monotonic,
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the parts; while `paused` says so, no mood reaches a sink."""
        self._camera, self._analyzer, self._sinks = camera, analyzer, sinks
        self._frames: LatestSlot[Frame] = LatestSlot(lossy=camera.live)
        self._outboxes = [SinkQueue(sink, lossy=camera.live) for sink in sinks]
        self._clock, self._silence, self._paused = clock, StallDetector(clock, paused), paused
        self._stopping = asyncio.Event()
        self.started = asyncio.Event()
        """Set once every sink is entered and frames are taken."""
        self._halted = False
        self._offering: asyncio.Task[None] | None = None
        self._silent_at = float("-inf")

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
                await self._flow(limit or Limit())
        finally:
            self._camera.close()

    async def _flow(self, limit: Limit) -> None:
        capture = Worker("capture", self._capture)
        loop = asyncio.get_running_loop()
        inference = Worker("inference", lambda: self._infer(limit, loop))
        deliveries = [asyncio.create_task(outbox.deliver()) for outbox in self._outboxes]
        self._silence = StallDetector(self._clock, self._paused)
        listening = asyncio.create_task(self._listen(limit), name="listening for silence")
        capture.start()
        inference.start()
        self.started.set()
        # A delivery that is done while reports still come has failed.
        await asyncio.wait([inference.done, *deliveries], return_when=asyncio.FIRST_COMPLETED)
        self._halt()
        listening.cancel()
        for worker in (inference, capture):
            if not await worker.join(JOIN_SECONDS):
                log.warning("the %s thread did not end within %g s", worker.name, JOIN_SECONDS)
        await self._drain(deliveries)
        ends: list[asyncio.Future[None]] = [capture.done, inference.done, listening, *deliveries]
        # All are asked, for asyncio complains of errors that nobody looked at.
        errors = [end.exception() for end in ends if end.done() and not end.cancelled()]
        for error in filter(None, errors):
            raise error

    def _capture(self) -> None:
        """Work of the capture thread: hand frames over as they come."""
        try:
            for frame in self._camera.frames():
                self._silence.note(frame)
                if not self._frames.put(frame):
                    return
        finally:
            self._frames.end()

    def _infer(self, limit: Limit, loop: asyncio.AbstractEventLoop) -> None:
        """Work of the inference thread: a report for every frame that is handed over."""
        made, start = 0, None
        while (frame := self._frames.take()) is not None:
            start = frame.time if start is None else start
            offered = asyncio.run_coroutine_threadsafe(
                self._offer(self._analyzer.process(frame)), loop
            )
            made += 1
            try:
                offered.result()
            except CancelledError:
                return
            if limit.reached(made, frame.time - start):
                return

    async def _listen(self, limit: Limit) -> None:
        """Report the silence of a live camera, and a pause; a limit of time ends them too."""
        while not self._halted:
            await asyncio.sleep(LISTEN_SECONDS)
            report = self._silence.report() if self._camera.live or self._paused() else None
            if report is None or self._halted:
                continue
            self._silent_at = report.time
            for outbox in self._outboxes:
                await outbox.offer(report)
            if limit.reached(0, self._silence.elapsed):
                self._halt()

    async def _offer(self, report: Report) -> None:
        """Put a report into every outbox, unless the end or a pause has begun."""
        if self._halted or self._paused():
            return
        if self._camera.live and report.time < self._silent_at:
            # It was on its way while the silence was told; the next one follows at once.
            return
        self._offering = asyncio.current_task()
        for outbox in self._outboxes:
            await outbox.offer(report)

    def _halt(self) -> None:
        """Take no more from the camera, and nobody waits any longer."""
        self._halted = True
        self._frames.stop()
        self._camera.close()
        if self._offering is not None:
            self._offering.cancel()

    async def _drain(self, deliveries: Sequence[asyncio.Task[None]]) -> None:
        """Let the sinks have what is left; what takes too long is given up."""
        if not deliveries:
            return
        for outbox in self._outboxes:
            await outbox.end()
        rest = asyncio.gather(*deliveries, return_exceptions=True)
        if not self._camera.live:
            stopping = asyncio.ensure_future(self._stopping.wait())
            either: list[asyncio.Future[Any]] = [rest, stopping]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        await asyncio.wait([rest], timeout=DRAIN_SECONDS)
        for delivery in deliveries:
            delivery.cancel()
        await rest
