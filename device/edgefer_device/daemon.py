"""`edgefer run`: everything that a configuration names, built and run until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import cv2

from edgefer.runtime import open_classifier
from edgefer_device.analysis import Analyst
from edgefer_device.camera import camera_address, open_camera
from edgefer_device.config import Config, model_of
from edgefer_device.faces import open_detector
from edgefer_device.household import Household
from edgefer_device.pipeline import Limit, Pipeline
from edgefer_device.reading import Reader
from edgefer_device.sinks import open_sinks
from edgefer_device.sinks.health import Health
from edgefer_device.tracker import Tracker


def run(config: Config, frames: int | None = None, seconds: float | None = None) -> None:
    """Run until the camera ends, SIGTERM, Ctrl-C, or a limit: reports, or camera's seconds.

    Raises an `EdgeferError` for whatever cannot be opened, is lost or refuses.
    """
    asyncio.run(_run(config, Limit(frames, seconds)))


async def _run(config: Config, limit: Limit) -> None:
    pipeline = build(config)
    with _ending_by_signal(pipeline.stop):
        await pipeline.run(limit)


def build(config: Config) -> Pipeline:
    """Open what a configuration names, the cheapest to refuse first; the camera comes last."""
    # One face at a time leaves OpenCV nothing to share out but its threads' overhead.
    cv2.setNumThreads(1)
    camera_address(config.camera)
    health = Health()
    sinks = open_sinks(config, health)
    detector = open_detector(config.detector)
    bundle = model_of(config)
    reader = Reader(open_classifier(bundle), bundle.manifest)
    household = Household() if config.whose == "household" else None
    analyst = Analyst(detector, reader, Tracker(config.tracking), config.mood, household)
    return Pipeline(health.watch(open_camera(config.camera)), analyst, sinks)


@contextlib.contextmanager
def _ending_by_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and Ctrl-C; signals reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
