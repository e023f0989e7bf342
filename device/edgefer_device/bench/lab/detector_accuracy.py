"""`edgefer dev faces`: how each detector affects accuracy.

FER2013's images are put into larger scenes, detected and classified, and compared with the
classification of the image itself; and the marked faces of photographs are counted.

FER2013's images were cropped by one detector, and the model knows no other crops; each of our
detectors crops differently, and the model's input must not depend on which is used. Their
`BoxCalibration` was measured with the functions at the end, on black: with the image's edge
repeated, BlazeFace finds 62 % of the faces instead of 94 %, and its boxes vary with their size.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import open_bundle
from edgefer.console import track
from edgefer.machine import machine
from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.bench.components import FrameSource
from edgefer_device.bench.labelled_faces import (
    LabelledFaces,
    MarkedPhoto,
    read_fer2013,
    read_photos,
)
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.detector import BoxCalibration, FaceDetector
from edgefer_device.faces.opening import DETECTORS, open_detector
from edgefer_device.pipeline.analyzer import FaceClassifier

CANVAS = (640, 480)
"""Width and height of the scene that an image is put into, pixels."""
BLACK, EDGE = "black", "edge"
"""What surrounds the image: black, or its own edge repeated."""
SIDES = (144, 240)
"""Of the images in their scenes, pixels: a face two metres from the camera, and a close one."""
SAME = 0.25
"""Overlap from which a box is the marked face: annotations mark the head, detectors the face."""


@dataclass(frozen=True, slots=True)
class FacesRequest:
    """What `edgefer dev faces` measures."""

    data: Path
    """Folder with FER2013, and `photos` to be counted."""
    detectors: tuple[str, ...] = ()
    """Names; none means all."""
    model: str | None = None
    part: str = "PublicTest"
    count: int | None = None
    """Images drawn at random; None takes all."""
    scene: str | None = None
    """Address of a camera whose first frame is a scene too."""


class SceneAccuracy(msgspec.Struct, frozen=True):
    """One detector in scenes of one kind."""

    detector: str
    around: str
    side: int
    """Of the image in the scene, pixels."""
    images: int
    found: int
    calibration: tuple[float, float, float]
    """`BoxCalibration` still left in the detector's boxes: scale, across, down; 1, 0, 0 is none."""
    without: float
    """Accuracy on the images that were found, classified without detection, 0..1."""
    accuracy: float
    """Accuracy on them as detected, 0..1."""
    error: float
    """Standard error of the difference of the two, on the same images."""


class PhotoCounts(msgspec.Struct, frozen=True):
    """One detector on photographs."""

    detector: str
    faces: int
    """Marked ones."""
    found: int
    false: int
    """Boxes that are no marked face."""
    milliseconds: float
    """Median a photograph."""


class DetectorAccuracy(msgspec.Struct, frozen=True):
    """The JSON of `edgefer dev faces`."""

    machine: str
    model: str
    part: str
    scenes: tuple[SceneAccuracy, ...]
    photos: tuple[PhotoCounts, ...]


def measure(request: FacesRequest) -> DetectorAccuracy:
    """Measure each detector; raises an `EdgeferError` for what cannot be read or opened."""
    cv2.setNumThreads(1)
    bundle = open_bundle(request.model or Config().model)
    scenes = tuple(_scenes(request, FaceClassifier(open_classifier(bundle), bundle.manifest)))
    folder = request.data / "photos"
    photos = read_photos(folder) if folder.is_dir() else []
    found = [check_photos(name, open_detector(name), photos) for name in _names(request) if photos]
    return DetectorAccuracy(machine(), bundle.manifest.name, request.part, scenes, tuple(found))


def _names(request: FacesRequest) -> tuple[str, ...]:
    return request.detectors or tuple(DETECTORS)


def _scenes(request: FacesRequest, classifier: FaceClassifier) -> Iterator[SceneAccuracy]:
    faces = read_fer2013(request.data, request.part, request.count)
    around: list[str | Pixels] = [BLACK, EDGE]
    if request.scene is not None:
        around += FrameSource(request.scene).first(1)
    for name in _names(request):
        detector = open_detector(name)
        for kind in around:
            for side in SIDES:
                yield check_scenes(name, detector, classifier, faces, kind, side)


def check_scenes(
    name: str,
    detector: FaceDetector,
    classifier: FaceClassifier,
    faces: LabelledFaces,
    around: str | Pixels,
    side: int,
) -> SceneAccuracy:
    """Detect each image, `side` pixels wide in a scene, and classify it as detected.

    Images that are not found do not count for the accuracy.
    """
    frame, boxes, crops, rows = middle(side), [], [], []
    for row, image in enumerate(track(list(faces.images), f"{name}, {side} pixels")):
        whole = scene(image, side, around)
        box = nearest(detector, whole, frame)
        boxes.append(box)
        if box is not None:
            rows.append(row)
            crops += classifier.crop(whole, [box])
    right = _right(classifier, classifier.resized(faces.images[rows]), faces.labels[rows])
    right_found = _right(classifier, crops, faces.labels[rows])
    found = len(rows)
    left = median(boxes, frame)
    return SceneAccuracy(
        detector=name,
        around=around if isinstance(around, str) else "scene",
        side=side,
        images=len(faces.labels),
        found=found,
        calibration=(left.scale, left.across, left.down),
        without=float(right.mean()) if found else 0.0,
        accuracy=float(right_found.mean()) if found else 0.0,
        error=float(np.std(right_found - right) / np.sqrt(found)) if found else 0.0,
    )


def _right(
    classifier: FaceClassifier, crops: Sequence[Pixels], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return 1 for each face that is classified as its label, else 0."""
    rows = [classifier.read([crop])[0].argmax() for crop in crops]
    return np.asarray(np.equal(rows, labels), np.float64)


def check_photos(name: str, detector: FaceDetector, photos: Sequence[MarkedPhoto]) -> PhotoCounts:
    """Count the marked faces that a detector finds, each once."""
    hits, false, times = 0, 0, []
    for photo in photos:
        begun = time.perf_counter()
        seen = [face.box for face in detector.detect(photo.image)]
        times.append(1000 * (time.perf_counter() - begun))
        known = sum(any(box.overlap(one) > SAME for one in seen) for box in photo.boxes)
        hits, false = hits + known, false + len(seen) - known
    marked = sum(len(photo.boxes) for photo in photos)
    return PhotoCounts(name, marked, hits, false, float(np.median(times)))


def describe(result: DetectorAccuracy) -> Iterator[str]:
    """Yield the tables, line by line."""
    if result.scenes:
        yield f"{result.model}, FER2013 {result.part}, on {result.machine}"
        yield (
            f"{'detector':<16} {'scene':<6} {'side':>4} {'found':>11} {'without':>8} "
            f"{'detected':>12}  calibration left"
        )
    for one in result.scenes:
        scale, across, down = one.calibration
        change = 100 * (one.accuracy - one.without)
        yield (
            f"{one.detector:<16} {one.around:<6} {one.side:>4} {one.found:>5} of {one.images:<4}"
            f"{100 * one.without:>6.1f} % {100 * one.accuracy:>5.1f} % "
            f"({change:+.1f} ± {196 * one.error:.1f})  {scale:.3f} {across:+.3f} {down:+.3f}"
        )
    for photo in result.photos:
        yield (
            f"{photo.detector}: {photo.found} of {photo.faces} marked faces of photographs, "
            f"{photo.false} boxes elsewhere, {photo.milliseconds:.1f} ms an image"
        )


def middle(side: int) -> Box:
    """Return the box of an image in its scene."""
    return Box((CANVAS[0] - side) / 2, (CANVAS[1] - side) / 2, side, side)


def median(boxes: Iterable[Box | None], frame: Box) -> BoxCalibration:
    """Return the median offsets of boxes to the frame; without any, no offset."""
    rows = np.array([offsets(box, frame) for box in boxes if box is not None])
    return BoxCalibration(*(map(float, np.median(rows, axis=0)) if len(rows) else (1, 0, 0)))


def scene(image: Pixels, side: int, around: str | Pixels = BLACK) -> Pixels:
    """Return the image enlarged in the middle of a canvas, BGR uint8 (480, 640, 3).

    `around` is `BLACK`, `EDGE`, or a BGR image that it is pasted into.
    """
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    beside, above = (CANVAS[0] - side) // 2, (CANVAS[1] - side) // 2
    if not isinstance(around, str):
        canvas = cv2.resize(around, CANVAS, interpolation=cv2.INTER_AREA)
        canvas[above : above + side, beside : beside + side] = large[..., np.newaxis]
        return np.asarray(canvas, np.uint8)
    how = cv2.BORDER_REPLICATE if around == EDGE else cv2.BORDER_CONSTANT
    whole = cv2.copyMakeBorder(large, above, above, beside, beside, how)
    return np.asarray(cv2.cvtColor(whole, cv2.COLOR_GRAY2BGR), np.uint8)


def nearest(detector: FaceDetector, image: Pixels, frame: Box) -> Box | None:
    """Return the most confident box near the middle of the frame; others are no face."""
    boxes = (face.box for face in detector.detect(image))
    near = (box for box in boxes if max(map(abs, offsets(box, frame)[1:])) < 1 / 3)
    return next(near, None)


def offsets(box: Box, frame: Box) -> tuple[float, float, float]:
    """Return the frame relative to a box: scale, across and down, in sides of the box."""
    across = frame.left + frame.width / 2 - box.left - box.width / 2
    down = frame.top + frame.height / 2 - box.top - box.height / 2
    return frame.width / box.width, across / box.width, down / box.width
