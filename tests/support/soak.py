"""A day of a mirror in minutes: the real pipeline on real clips, on a simulated clock.

In each simulated hour somebody is present for some minutes, and the rest is an empty room, at the
rates of the duty cycle. Every sink that needs no other machine takes part.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from edgefer.bundle import open_bundle
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.runner import Pipeline
from edgefer_device.sinks.content.rule import Rule
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.opening import SinkContext, open_sinks
from edgefer_device.system.process import resident_mb

ACTIVE, IDLE = 5.0, 0.5
"""Frames a second in both; fewer than the daemon's, for a day must pass in minutes."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a day passes, simulated seconds."""

    hour: float = 3600.0
    present: float = 300.0
    """Of each hour, in which somebody is there."""
    every: float = 60.0
    """Between two samples."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process held at one simulated time."""

    hour: float
    memory_mb: float
    handles: int
    threads: int
    reports: int


OnSample = Callable[[Sample], None]


class Day:
    """A camera whose hours pass as fast as its frames are read; it samples as it goes."""

    live = False

    def __init__(
        self, data: Path, hours: float, schedule: Schedule, health: Health, on_sample: OnSample
    ) -> None:
        """Take the folder of clips, and what is called with each sample."""
        self._someone = _images(data / "clips/single_face.mp4")
        self._nobody = _images(data / "clips/no_face.mp4")
        self._end, self._schedule = hours * schedule.hour, schedule
        self._health, self._on_sample = health, on_sample
        self._closed = False
        self.samples: list[Sample] = []

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the day's frames."""
        time, number, sampled, schedule = 0.0, 0, 0.0, self._schedule
        someone, nobody = cycle(self._someone), cycle(self._nobody)
        while time < self._end and not self._closed:
            if time >= sampled:
                self._take(time / schedule.hour)
                sampled += schedule.every
            there = time % schedule.hour < schedule.present
            image = next(someone if there else nobody)
            if due(time):
                yield Frame(image, time, number)
            time, number = time + 1 / (ACTIVE if there else IDLE), number + 1
        self._take(time / schedule.hour)

    def close(self) -> None:
        """End the day."""
        self._closed = True

    def _take(self, hour: float) -> None:
        sample = self._sample(hour)
        self.samples.append(sample)
        self._on_sample(sample)

    def _sample(self, hour: float) -> Sample:
        gc.collect()
        handles = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # opens one in place of two
        return Sample(
            round(hour, 3),
            resident_mb(),
            handles,
            threading.active_count(),
            self._health.analysed,
        )


def simulate(
    data: Path,
    state: Path,
    hours: float,
    schedule: Schedule | None = None,
    on_sample: OnSample = lambda sample: None,
) -> list[Sample]:
    """Let so many hours pass; return the samples."""
    health = Health()
    day = Day(data, hours, schedule or Schedule(), health, on_sample)
    rule = Rule(mood="happy", minutes=0.01, text="Good to see you")
    uris = ("mirror:127.0.0.1:0", "metrics:127.0.0.1:0", f"jsonl:{state / 'm'}?max_mb=1&keep=1")
    context = SinkContext(
        state=state,
        health=health,
        history=HistorySettings(keep_days=1),
        content=ContentSettings(rule=(rule,)),
    )
    sinks = open_sinks(uris, context).sinks
    bundle = open_bundle("small")
    classifier = FaceClassifier.open(bundle)
    tracker = Tracker(TrackingSettings())
    analyzer = FrameAnalyzer(open_detector(None), classifier, tracker, MoodSettings())
    asyncio.run(Pipeline(day, analyzer, sinks, health=health).run())
    return day.samples


def drift(samples: list[Sample], warm: float) -> float:
    """Return by which share the memory grew after the first `warm` hours."""
    after = [sample.memory_mb for sample in samples if sample.hour >= warm]
    return max(after) / after[0] - 1


def _images(clip: Path) -> list[Pixels]:
    camera = open_camera(f"file:{clip}")
    try:
        # Some are enough, and what they weigh would hide what the daemon does.
        return [_small(frame.image) for frame in camera.frames() if frame.number % 4 == 0]
    finally:
        camera.close()


def _small(image: Pixels) -> Pixels:
    """Return an image (480, 640, 3), as most cameras give."""
    return np.asarray(cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA), np.uint8)
