"""`edgefer dev sweep`: what the time grows with: threads, resolution, faces, frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


Work = tuple[int, Callable[[], object]]
"""A value of a sweep and what is timed there."""


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
    values, works = zip(*kind.works(components, frames), strict=True)
    benchmarks = [calling(f"{by} {value}", work) for value, work in zip(values, works, strict=True)]
    timings = run_in_turns(benchmarks, part, f"growth with {by}")
    points = list(map(Point, values, timings))
    found = Sweep(by, kind.what, tuple(points), kind.rule)
    if kind.alone is not None:
        once, each = kind.alone(components, frames, part)
        bounds = [once + each * point.value for point in points]
    else:
        start, least = getattr(points[0].timing, found.figure), points[0].value
        bounds = [start * kind.grows(point.value / least) for point in points]
    bounded = map(lambda point, bound: replace(point, bound=bound), points, bounds)
    return replace(found, points=tuple(bounded))


def beyond_bound(found: Sweep) -> Iterator[str]:
    """Yield a line for each value that takes longer than it should."""
    for point in found.points:
        took = getattr(point.timing, found.figure)
        if point.bound is not None and took > TOLERANCE * point.bound:
            yield (
                f"{found.by} {point.value}: {took:.2f} ms exceeds its bound of "
                f"{point.bound:.2f} ms ({found.rule}); other work on the machine does that too"
            )


def _threads(components: Components, _: Sequence[Pixels]) -> Iterator[Work]:
    crops = noise(components.size)
    for threads in thread_counts():
        classifier = open_classifier(components.bundle, components.format, threads)
        yield threads, lambda classifier=classifier: classifier.logits(crops)  # type: ignore[misc]  # bound in the loop


def _resolution(components: Components, frames: Sequence[Pixels]) -> Iterator[Work]:
    """Detect, crop and classify the faces of one frame in several sizes."""
    frame, _ = _with_face(components, frames)
    classifier = components.face_classifier()
    for height in HEIGHTS:
        width = round(frame.shape[1] * height / frame.shape[0])
        large = np.asarray(cv2.resize(frame, (width, height)), np.uint8)

        def work(large: Pixels = large) -> None:
            found = components.detector.detect(large)
            classifier.read(classifier.crop(large, [face.box for face in found]))

        yield height, work


def _faces(components: Components, frames: Sequence[Pixels]) -> Iterator[Work]:
    """Detect the faces of one frame once, then crop and classify one of them so many times."""
    frame, face = _with_face(components, frames)
    classifier = components.face_classifier()
    for number in FACES:

        def work(boxes: Sequence[Detection] = (face,) * number) -> None:
            components.detector.detect(frame)
            classifier.read(classifier.crop(frame, [one.box for one in boxes]))

        yield number, work


def _faces_alone(
    components: Components, frames: Sequence[Pixels], plan: Plan
) -> tuple[float, float]:
    """Time a detection alone, and a face that is cropped and classified alone: CPU ms."""
    frame, face = _with_face(components, frames)
    classifier = components.face_classifier()
    benchmarks = (
        calling("a detection", lambda: components.detector.detect(frame)),
        calling("a face", lambda: classifier.read(classifier.crop(frame, [face.box]))),
    )
    detection, one_face = run_in_turns(benchmarks, plan, "a detection and a face alone")
    return detection.cpu_ms, one_face.cpu_ms


def _rate(components: Components, frames: Sequence[Pixels]) -> Iterator[Work]:
    """Analyze one frame that moves ten times a second, at ever closer moments."""
    frame, _ = _with_face(components, frames)
    moved = [np.roll(frame, 8 * step, axis=1) for step in range(4)]
    for rate in RATES:
        analyzer, numbers = components.analyzer(), count()

        def work(
            analyzer: FrameAnalyzer = analyzer, numbers: count[int] = numbers, rate: int = rate
        ) -> None:
            number = next(numbers)
            analyzer.process(Frame(moved[number * 10 // rate % 4], number / rate, number))

        yield rate, work


def _with_face(components: Components, frames: Sequence[Pixels]) -> tuple[Pixels, Detection]:
    """Return the first frame in which a face is found, and the most confident one."""
    for frame in frames:
        found = components.detector.detect(frame)
        if found:
            return frame, found[0]
    raise ImageError(
        f"no face in the first {len(frames)} frames; name a camera that shows one with --camera"
    )


@dataclass(frozen=True, slots=True)
class SweepKind:
    """One parameter to sweep."""

    what: str
    """What is timed."""
    works: Callable[[Components, Sequence[Pixels]], Iterator[Work]]
    rule: str
    grows: Callable[[float], float] = lambda times: 1.0
    """The factor by which the first point's figure may grow at so many times its value."""
    alone: Callable[[Components, Sequence[Pixels], Plan], tuple[float, float]] | None = None
    """Instead of that: the time spent once, and for each one more, timed alone."""


SWEEPS = {
    "threads": SweepKind("the classifier, a face", _threads, "no slower with more threads"),
    "resolution": SweepKind(
        "a frame: faces detected, cropped and classified",
        _resolution,
        "no faster than the frame's area",
        lambda times: times**2,
    ),
    "faces": SweepKind(
        "a frame: one detection, so many faces cropped and classified",
        _faces,
        "one detection, and each face as long as one alone",
        alone=_faces_alone,
    ),
    "rate": SweepKind(
        "a frame of one moving face, analyzed",
        _rate,
        "a frame takes no longer at a higher rate",
    ),
}
"""By name."""
