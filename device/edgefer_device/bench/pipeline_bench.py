"""The whole pipeline as the daemon runs it, threads and all, on a camera."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from edgefer.errors import CameraError
from edgefer.messages import Report
from edgefer_device.bench.components import Parts
from edgefer_device.bench.loops import Series, Thing, TurnClock
from edgefer_device.bench.source import Source
from edgefer_device.cameras.camera import Frame
from edgefer_device.pipeline.analyzer import FrameAnalyzer
from edgefer_device.pipeline.runner import Pipeline

WHAT = "whole pipeline, a frame"


class Timekeeper:
    """An analyzer that times each frame, and ends the pipeline after the last."""

    def __init__(
        self, analyzer: FrameAnalyzer, turn: TurnClock, stop: Callable[[], object]
    ) -> None:
        self._analyzer, self._turn, self._stop = analyzer, turn, stop
        self._cpu = time.process_time()
        self.series = Series(WHAT, turn)
        """Wall time of the look; CPU time of the whole process since the look before."""

    @property
    def has_unconfirmed(self) -> bool:
        """As the analyzer's."""
        return self._analyzer.has_unconfirmed

    def process(self, frame: Frame) -> Report:
        """Return what the frame shows."""
        begun = time.perf_counter()
        report = self._analyzer.process(frame)
        wall, cpu = time.perf_counter() - begun, time.process_time()
        self.series.note(wall, cpu - self._cpu)
        self._cpu = cpu
        if self._turn.ended():
            self._stop()
        return report


def piped(parts: Parts, source: Source) -> Thing:
    """Return the pipeline without sinks; running it raises `CameraError` where pictures end."""
    return Thing(WHAT, lambda turn: [asyncio.run(_run(parts, source, turn))])


async def _run(parts: Parts, source: Source, turn: TurnClock) -> Series:
    here = asyncio.get_running_loop()
    timekeeper = Timekeeper(
        parts.analyzer(), turn, lambda: here.call_soon_threadsafe(pipeline.stop)
    )
    pipeline = Pipeline(source.open(), timekeeper, ())
    await pipeline.run()
    if not turn.done:
        raise CameraError(f"{source.name}: its pictures ended before the bench did")
    return timekeeper.series
