"""`edgefer dev faces`: what finding a face costs the reading of it, detector by detector.

FER2013's pictures are put into larger scenes, found again and read, beside the reading of
the very picture; and the marked faces of photographs are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.console import track
from edgefer.preprocess import Pixels
from edgefer_device.bench.box_calibration import median, middle, nearest, scene
from edgefer_device.bench.detector_data import Labelled, Photo
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.pipeline.analyzer import FaceClassifier

SAME = 0.25
"""Overlap from which a box is the marked face: people mark the head, detectors the face."""


class Scenes(msgspec.Struct, frozen=True):
    """One detector in scenes of one kind."""

    detector: str
    around: str
    side: int
    """Of the picture in the scene, pixels."""
    pictures: int
    found: int
    calibration: tuple[float, float, float]
    """`BoxCalibration` still left in the detector's boxes: scale, across, down; 1, 0, 0 is none."""
    without: float
    """Accuracy on the pictures that were found, read without detection, 0..1."""
    accuracy: float
    """Accuracy on them as they were found, 0..1."""
    error: float
    """Standard error of the difference of the two, which were read from the same pictures."""


class Found(msgspec.Struct, frozen=True):
    """One detector on photographs."""

    detector: str
    faces: int
    """Marked ones."""
    found: int
    false: int
    """Boxes that are no marked face."""
    milliseconds: float
    """Median of a photograph."""


class FaceCheck(msgspec.Struct, frozen=True):
    """What `edgefer dev faces` measures."""

    machine: str
    model: str
    part: str
    scenes: tuple[Scenes, ...]
    photos: tuple[Found, ...]


def check_scenes(
    name: str,
    detector: FaceDetector,
    classifier: FaceClassifier,
    faces: Labelled,
    around: str | Pixels,
    side: int,
) -> Scenes:
    """Find each picture in a scene `side` pixels wide, and read it as it was found.

    Pictures that are not found count neither for nor against the reading.
    """
    frame, boxes, crops, rows = middle(side), [], [], []
    for row, picture in enumerate(track(list(faces.pictures), f"{name}, {side} pixels")):
        whole = scene(picture, side, around)
        box = nearest(detector, whole, frame)
        boxes.append(box)
        if box is not None:
            rows.append(row)
            crops += classifier.crop(whole, [box])
    right = _right(classifier, classifier.resized(faces.pictures[rows]), faces.labels[rows])
    right_found = _right(classifier, crops, faces.labels[rows])
    found = len(rows)
    left = median(boxes, frame)
    return Scenes(
        detector=name,
        around=around if isinstance(around, str) else "scene",
        side=side,
        pictures=len(faces.labels),
        found=found,
        calibration=(left.scale, left.across, left.down),
        without=float(right.mean()) if found else 0.0,
        accuracy=float(right_found.mean()) if found else 0.0,
        error=float(np.std(right_found - right) / np.sqrt(found)) if found else 0.0,
    )


def _right(
    classifier: FaceClassifier, crops: Sequence[Pixels], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return 1 for each face that is read as its label, else 0."""
    rows = [classifier.read([crop])[0].argmax() for crop in crops]
    return np.asarray(np.equal(rows, labels), np.float64)


def check_photos(name: str, detector: FaceDetector, photos: Sequence[Photo]) -> Found:
    """Count the marked faces that a detector finds, each once."""
    hits, false, times = 0, 0, []
    for photo in photos:
        begun = time.perf_counter()
        seen = [face.box for face in detector.detect(photo.picture)]
        times.append(1000 * (time.perf_counter() - begun))
        known = sum(any(box.overlap(one) > SAME for one in seen) for box in photo.boxes)
        hits, false = hits + known, false + len(seen) - known
    marked = sum(len(photo.boxes) for photo in photos)
    return Found(name, marked, hits, false, float(np.median(times)))


def describe(check: FaceCheck) -> Iterator[str]:
    """Yield the tables for people, line by line."""
    if check.scenes:
        yield f"{check.model}, FER2013 {check.part}, on {check.machine}"
        yield (
            f"{'detector':<16} {'scene':<6} {'side':>4} {'found':>11} {'without':>8} "
            f"{'found, read':>12}  left of framing"
        )
    for one in check.scenes:
        scale, across, down = one.calibration
        change = 100 * (one.accuracy - one.without)
        yield (
            f"{one.detector:<16} {one.around:<6} {one.side:>4} {one.found:>5} of {one.pictures:<4}"
            f"{100 * one.without:>6.1f} % {100 * one.accuracy:>5.1f} % "
            f"({change:+.1f} ± {196 * one.error:.1f})  {scale:.3f} {across:+.3f} {down:+.3f}"
        )
    for photo in check.photos:
        yield (
            f"{photo.detector}: {photo.found} of {photo.faces} marked faces of photographs, "
            f"{photo.false} boxes elsewhere, {photo.milliseconds:.1f} ms a picture"
        )
