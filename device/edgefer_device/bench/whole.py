"""The whole pipeline as the daemon runs it, threads and all, on a camera."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from edgefer.errors import CameraError
from edgefer.messages import Report
from edgefer_device.analysis import Analyst
from edgefer_device.bench.loops import Loops, Plan, Series
from edgefer_device.bench.parts import Parts
from edgefer_device.bench.result import Timing
from edgefer_device.bench.source import Source
from edgefer_device.camera import Frame
from edgefer_device.pipeline import Pipeline

WHAT = "whole pipeline, a frame"


class Timekeeper:
    """An analyst in the pipeline that notes each look, and ends the pipeline after the last."""

    def __init__(self, analyst: Analyst, loops: Loops, stop: Callable[[], object]) -> None:
        self._analyst, self._loops, self._stop = analyst, loops, stop
        self._cpu = time.process_time()
        self.series = Series(WHAT, loops)
        """Wall time of the look; CPU time of the whole process since the look before."""

    def look(self, frame: Frame) -> Report:
        """Return what the frame shows."""
        begun = time.perf_counter()
        report = self._analyst.look(frame)
        wall, cpu = time.perf_counter() - begun, time.process_time()
        self.series.note(wall, cpu - self._cpu)
        self._cpu = cpu
        if self._loops.ended():
            self._stop()
        return report


def time_whole(parts: Parts, source: Source, plan: Plan) -> Timing:
    """Time the pipeline without sinks; raises `CameraError` where pictures end."""
    return asyncio.run(_time_whole(parts, source, plan))


async def _time_whole(parts: Parts, source: Source, plan: Plan) -> Timing:
    here = asyncio.get_running_loop()
    with Loops(WHAT, plan) as loops:
        timekeeper = Timekeeper(
            parts.analyst(), loops, lambda: here.call_soon_threadsafe(pipeline.stop)
        )
        pipeline = Pipeline(source.open(), timekeeper, ())
        await pipeline.run()
        timing = timekeeper.series.timing() if loops.done else None
    if timing is None:
        raise CameraError(f"{source.name}: its pictures ended before the bench did")
    return timing
