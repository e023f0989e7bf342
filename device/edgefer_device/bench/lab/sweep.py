"""`edgefer dev sweep`: what the time grows with: threads, resolution, faces, frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import cv2
import msgspec
import numpy as np
from msgspec.structs import replace

from edgefer.errors import ImageError
from edgefer.machine import machine
from edgefer.messages import Detection
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.bench.components import (
    Components,
    FrameSource,
    Request,
    noise,
    open_components,
)
from edgefer_device.bench.loops import Plan, calling, run_in_turns
from edgefer_device.bench.measurement import FRAMES
from edgefer_device.bench.result import Timing
from edgefer_device.bench.tune import SHARE, thread_counts
from edgefer_device.cameras.camera import Frame
from edgefer_device.pipeline.analyzer import FrameAnalyzer

RATES = (5, 10, 15, 30, 60)
"""Frames a second."""
HEIGHTS = (480, 720, 1080, 2160)
"""Pixels; 2160 is 4K."""
FACES = (1, 2, 5, 10, 20)
TOLERANCE = 1.1
"""Up to how many times its bound a figure is within it: more than loops differ by."""


class Point(msgspec.Struct, frozen=True):
    """One value of a sweep."""

    value: int
    timing: Timing
    bound: float | None = None
    """What it should at most take, milliseconds of the sweep's own figure."""


class Sweep(msgspec.Struct, frozen=True):
    """The time at several values of one parameter."""

    by: str
    """`threads`, `resolution` (the frame's height, pixels), `faces` or `rate` (frames a second
    of the camera)."""
    what: str
    """What was timed."""
    points: tuple[Point, ...]
    rule: str = ""
    """How it may grow."""

    @property
    def figure(self) -> str:
        """The figure of a timing that is bounded: threads spend CPU time to save wall time."""
        return "p50" if self.by == "threads" else "cpu_ms"


class Sweeps(msgspec.Struct, frozen=True):
    """The JSON of `edgefer dev sweep`."""

    machine: str
    model: str
    sweeps: tuple[Sweep, ...]
    warnings: tuple[str, ...]
    """What grows faster than it may."""


def measure_sweeps(request: Request, parameters: Sequence[str]) -> Sweeps:
    """Time the parameters, each one of `SWEEPS`; raises an `EdgeferError`."""
    cv2.setNumThreads(1)
    plan, source = request.plan, FrameSource(request.camera)
    bundle, format = request.open_bundle()
    frames = source.first(FRAMES)
    components = open_components(bundle, format, request)
    sweeps = tuple(sweep(by, components, frames, plan) for by in parameters)
    warnings = tuple(line for one in sweeps for line in beyond_bound(one))
    return Sweeps(machine(), bundle.manifest.name, sweeps, warnings)


def sweep(by: str, components: Components, frames: Sequence[Pixels], plan: Plan) -> Sweep:
    """Time one of `SWEEPS`; raises `ImageError` where a face is needed and none is found."""
    kind, part = SWEEPS[by], plan.part(SHARE)
    works = kind.works(components, frames)
    benchmarks = [calling(f"{by} {value}", work) for value, work in works.items()]
    timings = run_in_turns(benchmarks, part, f"growth with {by}")
    found = Sweep(by, kind.what, tuple(map(Point, works, timings)), kind.rule)
    start, least = getattr(timings[0], found.figure), found.points[0].value
    bounds = [start * (value / least) ** kind.power for value in works]
    if by == "faces":
        once, each = _faces_alone(components, frames, part)
        bounds = [once + each * value for value in works]
    points = [
        replace(point, bound=bound) for point, bound in zip(found.points, bounds, strict=True)
    ]
    return replace(found, points=tuple(points))


def beyond_bound(found: Sweep) -> Iterator[str]:
    """Yield a line for each value that takes longer than it should."""
    for point in found.points:
        took = getattr(point.timing, found.figure)
        if point.bound is not None and took > TOLERANCE * point.bound:
            yield (
                f"{found.by} {point.value}: {took:.2f} ms exceeds its bound of "
                f"{point.bound:.2f} ms ({found.rule}); other work on the machine does that too"
            )


Works = dict[int, Callable[[], object]]
"""By value of a sweep: what is timed there."""


def _threads(components: Components, _: Sequence[Pixels]) -> Works:
    crops, bundle, format = noise(components.size), components.bundle, components.format
    return {
        threads: partial(open_classifier(bundle, format, threads).logits, crops)
        for threads in thread_counts()
    }


def _resolution(components: Components, frames: Sequence[Pixels]) -> Works:
    """Detect, crop and classify the faces of one frame in several sizes."""
    frame, _ = _with_face(components, frames)
    classifier = components.face_classifier()

    def work(frame: Pixels) -> None:
        found = components.detector.watch(frame)
        classifier.read(classifier.crop(frame, [face.box for face in found]))

    sizes = [(round(frame.shape[1] * height / frame.shape[0]), height) for height in HEIGHTS]
    return {size[1]: partial(work, np.asarray(cv2.resize(frame, size))) for size in sizes}


def _faces(components: Components, frames: Sequence[Pixels]) -> Works:
    """Detect the faces of one frame once, then crop and classify one of them so many times."""
    frame, face = _with_face(components, frames)
    classifier = components.face_classifier()

    def work(count: int) -> None:
        components.detector.watch(frame)
        classifier.read(classifier.crop(frame, [face.box] * count))

    return {count: partial(work, count) for count in FACES}


def _faces_alone(
    components: Components, frames: Sequence[Pixels], plan: Plan
) -> tuple[float, float]:
    """Time a detection alone, and a face that is cropped and classified alone: CPU ms."""
    frame, face = _with_face(components, frames)
    classifier = components.face_classifier()
    benchmarks = (
        calling("a detection", lambda: components.detector.watch(frame)),
        calling("a face", lambda: classifier.read(classifier.crop(frame, [face.box]))),
    )
    detection, one_face = run_in_turns(benchmarks, plan, "a detection and a face alone")
    return detection.cpu_ms, one_face.cpu_ms


def _rate(components: Components, frames: Sequence[Pixels]) -> Works:
    """Analyze one frame that moves ten times a second, at ever closer moments."""
    frame, _ = _with_face(components, frames)
    moved = [np.roll(frame, 8 * step, axis=1) for step in range(4)]

    def work(analyzer: FrameAnalyzer, numbers: Iterator[int], rate: int) -> None:
        number = next(numbers)
        analyzer.process(Frame(moved[number * 10 // rate % 4], number / rate, number))

    return {rate: partial(work, components.analyzer(), count(), rate) for rate in RATES}


def _with_face(components: Components, frames: Sequence[Pixels]) -> tuple[Pixels, Detection]:
    """Return the first frame in which a face is found, and the most confident one."""
    for frame in frames:
        if found := components.detector.watch(frame):
            return frame, found[0]
    raise ImageError(
        f"no face in the first {len(frames)} frames; name a camera that shows one with --camera"
    )


@dataclass(frozen=True, slots=True)
class SweepKind:
    """One parameter to sweep."""

    what: str
    """What is timed."""
    works: Callable[[Components, Sequence[Pixels]], Works]
    rule: str
    power: int = 0
    """Of the value, by which the first point's figure may grow."""


SWEEPS = {
    "threads": SweepKind("the classifier, a face", _threads, "no slower with more threads"),
    "resolution": SweepKind(
        "a frame: faces detected, cropped and classified",
        _resolution,
        "no faster than the frame's area",
        power=2,
    ),
    "faces": SweepKind(
        "a frame: one detection, so many faces cropped and classified",
        _faces,
        "one detection, and each face as long as one alone",
    ),
    "rate": SweepKind(
        "a frame of one moving face, analyzed", _rate, "a frame takes no longer at a higher rate"
    ),
}
"""By name."""
