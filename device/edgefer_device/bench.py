"""What the classifier and the whole analysis cost on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice

import msgspec
import numpy as np

from edgefer.bundle import Bundle
from edgefer.errors import CameraError
from edgefer.machine import machine
from edgefer.runtime import Classifier, open_classifier
from edgefer_device.analysis import Analyst
from edgefer_device.camera import Camera, open_camera
from edgefer_device.config import Config
from edgefer_device.faces.faces import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.life.startup import Startup, measure_startup
from edgefer_device.reading import Reader

WARM_UP = 30
"""Calls before the first that counts: caches, clocks and lazy set-up."""
LONGEST_CLIP = 300
"""Frames of a camera that are measured."""


class Timing(msgspec.Struct, frozen=True):
    """Wall time of one call, milliseconds, and what it took of the processor."""

    what: str
    calls: int
    p50: float
    p90: float
    p99: float
    max: float
    cpu_ms: float
    """CPU time a call, all threads, milliseconds."""


class Bench(msgspec.Struct, frozen=True):
    """One bench on one machine."""

    machine: str
    model: str
    timings: tuple[Timing, ...]
    startup: Startup | None
    """Of the daemon on the camera; None where no camera was given."""


def bench(bundle: Bundle, camera: str | None, seconds: float) -> Bench:
    """Time the classifier for `seconds`; given a camera, its frames and the daemon's start too."""
    classifier = open_classifier(bundle)
    alone = time_classifier(classifier, bundle.manifest.input.preprocess.size, seconds)
    if camera is None:
        return Bench(machine(), bundle.manifest.name, (alone,), None)
    timings = alone, time_analysis(bundle, classifier, camera)
    startup = measure_startup(str(bundle.path), camera)
    return Bench(machine(), bundle.manifest.name, timings, startup)


def time_classifier(classifier: Classifier, size: int, seconds: float) -> Timing:
    """Time single faces, pixels to logits."""
    chips = np.random.default_rng(0).integers(0, 256, (1, size, size), np.uint8)
    for _ in range(WARM_UP):
        classifier.logits(chips)
    end = time.monotonic() + seconds

    def calls() -> Iterator[Callable[[], object]]:
        while time.monotonic() < end:
            yield lambda: classifier.logits(chips)

    return measured("classifier, one face", calls())


def time_analysis(bundle: Bundle, classifier: Classifier, camera: str) -> Timing:
    """Time each frame of a camera from pixels to mood; decoding is left out."""
    config = Config()
    reader = Reader(classifier, bundle.manifest)
    detector = open_detector(config.detector)
    analyst = Analyst(detector, reader, Tracker(config.tracking), config.mood)
    with closing(open_camera(camera)) as opened:
        return measured(f"a frame of {camera.rpartition('/')[2]}", frames(opened, analyst))


def frames(camera: Camera, analyst: Analyst) -> Iterator[Callable[[], object]]:
    """Yield the analysis of each frame; raises `CameraError` when there is none."""
    some = False
    for frame in islice(camera.frames(), LONGEST_CLIP):
        some = True
        yield lambda frame=frame: analyst.look(frame)  # type: ignore[misc]
    if not some:
        raise CameraError("the camera gave no frame; name one with --camera")


def measured(what: str, calls: Iterator[Callable[[], object]]) -> Timing:
    """Time each call by itself."""
    walls, cpus = [], []
    for call in calls:
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    p50, p90, p99, most = (float(value) for value in np.percentile(walls, (50, 90, 99, 100)))
    return Timing(what, len(walls), p50, p90, p99, most, float(np.mean(cpus)))


def describe(bench: Bench, short: bool) -> str:
    """Return a bench for people, milliseconds a call."""
    lines = [f"{bench.model} on {bench.machine}{', a short run' if short else ''}"]
    lines.append(f"{'ms a call':<40} {'p50':>7} {'p90':>7} {'p99':>7} {'max':>7} {'CPU':>7}  calls")
    for one in bench.timings:
        figures = " ".join(
            f"{value:7.2f}" for value in (one.p50, one.p90, one.p99, one.max, one.cpu_ms)
        )
        lines.append(f"{one.what:<40} {figures}  {one.calls}")
    if bench.startup is not None:
        start = bench.startup
        lines.append(
            f"the daemon: first mood {start.first_mood:.2f} s after its start, "
            f"peak memory {start.peak_mb:.0f} MB"
        )
    return "\n".join(lines)
