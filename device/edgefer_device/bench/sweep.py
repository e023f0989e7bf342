"""What the cost grows with: threads, the picture's size, the number of faces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from edgefer.errors import ImageError
from edgefer.messages import Detection
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.bench.loops import Plan, timed
from edgefer_device.bench.parts import Parts, noise
from edgefer_device.bench.result import Point, Sweep
from edgefer_device.reading import Reader

HEIGHTS = (480, 720, 1080, 2160)
"""Pixels; 2160 is 4K."""
FACES = (1, 2, 5, 10, 20)
SHARE = 0.2
"""Of the time that a thing gets by itself, for each value."""

Work = tuple[int, Callable[[], object]]
"""A value of a sweep and what is timed there."""


def sweep(by: str, parts: Parts, pictures: Sequence[Pixels], plan: Plan) -> Sweep:
    """Time one of `SWEEPS`; raises `ImageError` where a face is needed and none is found."""
    what, works = SWEEPS[by]
    points = [
        Point(value, timed(f"{by} {value}", work, plan.part(SHARE)))
        for value, work in works(parts, pictures)
    ]
    return Sweep(by, what, tuple(points))


def thread_counts(cores: int | None = None) -> list[int]:
    """Return the powers of two up to the number of cores, and that itself."""
    cores = cores or os.cpu_count() or 1
    return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})


def _threads(parts: Parts, _: Sequence[Pixels]) -> Iterator[Work]:
    chips = noise(parts.bundle.manifest.input.preprocess.size)
    for threads in thread_counts():
        classifier = open_classifier(parts.bundle, parts.format, threads)
        yield threads, lambda classifier=classifier: classifier.logits(chips)  # type: ignore[misc]


def _resolution(parts: Parts, pictures: Sequence[Pixels]) -> Iterator[Work]:
    """Find, cut and read the faces of one picture in several sizes."""
    picture, _ = _with_face(parts, pictures)
    reader = Reader(parts.classifier, parts.bundle.manifest)
    for height in HEIGHTS:
        width = round(picture.shape[1] * height / picture.shape[0])
        large = np.asarray(cv2.resize(picture, (width, height)), np.uint8)

        def work(large: Pixels = large) -> None:
            found = parts.detector.detect(large)
            reader.read(reader.chips(large, [face.box for face in found]))

        yield height, work


def _faces(parts: Parts, pictures: Sequence[Pixels]) -> Iterator[Work]:
    """Find the faces of one picture once, then cut and read one of them so many times."""
    picture, face = _with_face(parts, pictures)
    reader = Reader(parts.classifier, parts.bundle.manifest)
    for count in FACES:

        def work(boxes: Sequence[Detection] = (face,) * count) -> None:
            parts.detector.detect(picture)
            reader.read(reader.chips(picture, [one.box for one in boxes]))

        yield count, work


def _with_face(parts: Parts, pictures: Sequence[Pixels]) -> tuple[Pixels, Detection]:
    """Return the first picture in which a face is found, and the surest."""
    for picture in pictures:
        found = parts.detector.detect(picture)
        if found:
            return picture, found[0]
    raise ImageError(
        f"no face in the first {len(pictures)} pictures; name a camera that shows one with --camera"
    )


SWEEPS: dict[str, tuple[str, Callable[[Parts, Sequence[Pixels]], Iterator[Work]]]] = {
    "threads": ("the classifier, a face", _threads),
    "resolution": ("a picture: faces found, cut and read", _resolution),
    "faces": ("a picture: faces found, so many cut and read", _faces),
}
"""By name: what is timed, and its values."""
