"""What the cost grows with: threads, the picture's size, the number of faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import cv2
import msgspec
import numpy as np
from msgspec.structs import replace

from edgefer.errors import ImageError
from edgefer.messages import Detection
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.bench.components import Parts, noise
from edgefer_device.bench.loops import Plan, calling, in_turns
from edgefer_device.bench.measurement import PICTURES, Request, open_requested
from edgefer_device.bench.result import Timing
from edgefer_device.bench.source import Source
from edgefer_device.bench.tune import SHARE, thread_counts
from edgefer_device.cameras.camera import Frame
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer

RATES = (5, 10, 15, 30, 60)
"""Frames a second."""
HEIGHTS = (480, 720, 1080, 2160)
"""Pixels; 2160 is 4K."""
FACES = (1, 2, 5, 10, 20)
TOLERANCE = 1.1
"""Up to how many times its bound a figure is within it: more than loops differ by."""

Work = tuple[int, Callable[[], object]]
"""A value of a sweep and what is timed there."""


class Point(msgspec.Struct, frozen=True):
    """One value of a sweep."""

    value: int
    timing: Timing
    bound: float | None = None
    """What it should at most take, milliseconds of the sweep's own figure."""


class Sweep(msgspec.Struct, frozen=True):
    """What the cost grows with."""

    by: str
    """`threads`, `resolution` (the picture's height, pixels), `faces` or `rate` (frames a second
    of the camera)."""
    what: str
    """What was timed."""
    points: tuple[Point, ...]
    rule: str = ""
    """In words, how it may grow."""

    @property
    def figure(self) -> str:
        """What of a timing the bounds are of: threads spend processor time to save the clock's."""
        return "p50" if self.by == "threads" else "cpu_ms"


def measure_sweeps(request: Request, kinds: Sequence[str]) -> tuple[Sweep, ...]:
    """Measure by some of `SWEEPS`; raises an `EdgeferError` for what cannot be opened."""
    plan, pictures = request.plan, Source(request.camera).pictures(PICTURES)
    parts = open_requested(request)
    return tuple(sweep(kind, parts, pictures, plan) for kind in kinds)


def sweep(by: str, parts: Parts, pictures: Sequence[Pixels], plan: Plan) -> Sweep:
    """Time one of `SWEEPS`; raises `ImageError` where a face is needed and none is found."""
    kind = SWEEPS[by]
    values, works = zip(*kind.works(parts, pictures), strict=True)
    things = [calling(f"{by} {value}", work) for value, work in zip(values, works, strict=True)]
    timings = in_turns(things, plan.part(SHARE), f"growth with {by}")
    points = list(map(Point, values, timings))
    found = Sweep(by, kind.what, tuple(points), kind.rule)
    if kind.alone is not None:
        once, each = kind.alone(parts, pictures, plan.part(SHARE))
        bounds = [once + each * point.value for point in points]
    else:
        start, least = getattr(points[0].timing, found.figure), points[0].value
        bounds = [start * kind.grows(point.value / least) for point in points]
    bounded = map(lambda point, bound: replace(point, bound=bound), points, bounds)
    return replace(found, points=tuple(bounded))


def beyond(found: Sweep) -> Iterator[str]:
    """Yield in words what grows faster than it should."""
    for point in found.points:
        took = getattr(point.timing, found.figure)
        if point.bound is not None and took > TOLERANCE * point.bound:
            yield (
                f"{found.by} {point.value}: {took:.2f} ms is beyond its bound of "
                f"{point.bound:.2f} ms ({found.rule}); other work on the machine does that too"
            )


def _threads(parts: Parts, _: Sequence[Pixels]) -> Iterator[Work]:
    crops = noise(parts.bundle.manifest.input.preprocess.size)
    for threads in thread_counts():
        classifier = open_classifier(parts.bundle, parts.format, threads)
        yield threads, lambda classifier=classifier: classifier.logits(crops)  # type: ignore[misc]


def _resolution(parts: Parts, pictures: Sequence[Pixels]) -> Iterator[Work]:
    """Find, cut and read the faces of one picture in several sizes."""
    picture, _ = _with_face(parts, pictures)
    classifier = FaceClassifier(parts.classifier, parts.bundle.manifest)
    for height in HEIGHTS:
        width = round(picture.shape[1] * height / picture.shape[0])
        large = np.asarray(cv2.resize(picture, (width, height)), np.uint8)

        def work(large: Pixels = large) -> None:
            found = parts.detector.detect(large)
            classifier.read(classifier.crop(large, [face.box for face in found]))

        yield height, work


def _faces(parts: Parts, pictures: Sequence[Pixels]) -> Iterator[Work]:
    """Find the faces of one picture once, then cut and read one of them so many times."""
    picture, face = _with_face(parts, pictures)
    classifier = FaceClassifier(parts.classifier, parts.bundle.manifest)
    for number in FACES:

        def work(boxes: Sequence[Detection] = (face,) * number) -> None:
            parts.detector.detect(picture)
            classifier.read(classifier.crop(picture, [one.box for one in boxes]))

        yield number, work


def _faces_alone(parts: Parts, pictures: Sequence[Pixels], plan: Plan) -> tuple[float, float]:
    """Time a detection by itself, and a face that is cut and read by itself: CPU milliseconds."""
    picture, face = _with_face(parts, pictures)
    classifier = FaceClassifier(parts.classifier, parts.bundle.manifest)
    things = (
        calling("a detection", lambda: parts.detector.detect(picture)),
        calling("a face", lambda: classifier.read(classifier.crop(picture, [face.box]))),
    )
    found, read = in_turns(things, plan, "a detection and a face by themselves")
    return found.cpu_ms, read.cpu_ms


def _rate(parts: Parts, pictures: Sequence[Pixels]) -> Iterator[Work]:
    """Look at one picture that moves ten times a second, at ever closer moments."""
    picture, _ = _with_face(parts, pictures)
    moved = [np.roll(picture, 8 * step, axis=1) for step in range(4)]
    for rate in RATES:
        analyzer, numbers = parts.analyzer(), count()

        def work(
            analyzer: FrameAnalyzer = analyzer, numbers: count[int] = numbers, rate: int = rate
        ) -> None:
            number = next(numbers)
            analyzer.process(Frame(moved[number * 10 // rate % 4], number / rate, number))

        yield rate, work


def _with_face(parts: Parts, pictures: Sequence[Pixels]) -> tuple[Pixels, Detection]:
    """Return the first picture in which a face is found, and the surest."""
    for picture in pictures:
        found = parts.detector.detect(picture)
        if found:
            return picture, found[0]
    raise ImageError(
        f"no face in the first {len(pictures)} pictures; name a camera that shows one with --camera"
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to grow."""

    what: str
    """What is timed."""
    works: Callable[[Parts, Sequence[Pixels]], Iterator[Work]]
    rule: str
    grows: Callable[[float], float] = lambda times: 1.0
    """How many times the first point's figure may be taken at so many times its value."""
    alone: Callable[[Parts, Sequence[Pixels], Plan], tuple[float, float]] | None = None
    """In place of that: what is done once, and what for each one more, timed by themselves."""


SWEEPS = {
    "threads": Kind("the classifier, a face", _threads, "no slower with more threads"),
    "resolution": Kind(
        "a picture: faces found, cut and read",
        _resolution,
        "no faster than the picture's area",
        lambda times: times**2,
    ),
    "faces": Kind(
        "a picture: faces found, so many cut and read",
        _faces,
        "one detection, and each face as dear as one by itself",
        alone=_faces_alone,
    ),
    "rate": Kind(
        "a frame of one moving face, looked at",
        _rate,
        "a frame costs no more when they come faster",
    ),
}
"""By name."""
