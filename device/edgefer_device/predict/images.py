"""Expressions in image files, face by face, without tracking or filter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from edgefer.bundle import open_bundle
from edgefer.labels import UNKNOWN
from edgefer.messages import UNSURE, Box, Detection, Face, Prediction
from edgefer.preprocess import Pixels
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.quality import QualitySettings, rejection_reason
from edgefer_device.pipeline.analyzer import FaceClassifier, Probabilities
from edgefer_device.system.image_file import read_image


def predict(
    path: Path, detector: FaceDetector, classifier: FaceClassifier, upright: bool = False
) -> Prediction:
    """Return the faces of an image file, the most confident first; `track` counts from 1.

    With `upright` the image is turned until its faces are surest. A label is `unknown` under the
    model's threshold. Raises `ImageError`.
    """
    return predict_image(str(path), read_image(path), detector, classifier, upright)


def predict_image(
    name: str,
    image: Pixels,
    detector: FaceDetector,
    classifier: FaceClassifier,
    upright: bool = False,
) -> Prediction:
    """Return the faces of a BGR image (H, W, 3), called `name`; else as `predict`."""
    quarters, found = _turned(image, detector) if upright else (0, detector.detect(image))
    crops = classifier.crop(np.rot90(image, quarters), [face.box for face in found])
    rows = classifier.read(crops)
    faces = [
        _face(number, *face, classifier)
        for number, face in enumerate(zip(found, crops, rows, strict=True), 1)
    ]
    height, width = image.shape[:2]
    placed = [replace(face, box=_turned_back(face.box, quarters, width, height)) for face in faces]
    return Prediction(name, tuple(placed), 90 * quarters)


def predictor(
    detector: str | None = None, model: str | None = None, upright: bool = False
) -> Callable[[Path], Prediction]:
    """Return `predict` with a detector and a bundle by their names."""
    bundle = open_bundle(model or Config().model)
    classifier = FaceClassifier.open(bundle)
    opened = open_detector(detector)
    return lambda path: predict(path, opened, classifier, upright)


def _turned(image: Pixels, detector: FaceDetector) -> tuple[int, list[Detection]]:
    """Return the quarter turns, against the clock, in which faces are surest, and those faces."""
    found = [detector.detect(np.ascontiguousarray(np.rot90(image, turn))) for turn in range(4)]
    best = max(range(4), key=lambda turn: sum(face.score for face in found[turn]))
    return best, found[best]


def _turned_back(box: Box, quarters: int, width: int, height: int) -> Box:
    """Return a box of a turned image in the image (height, width) as it was."""
    if quarters == 0:
        return box
    across = width if quarters % 2 else height
    once = Box(across - box.bottom, box.left, box.height, box.width)
    return _turned_back(once, quarters - 1, width, height)


def describe(prediction: Prediction) -> str:
    """Return a prediction in one line: `party.jpg: happy 93 %, unknown`."""
    turned = f" (turned by {prediction.turned} degrees)" if prediction.turned else ""
    said = ", ".join(map(caption, prediction.faces)) or "no face"
    return f"{prediction.image}{turned}: {said}"


def caption(face: Face) -> str:
    """Return a face's label: `happy 93 %`, or `unknown (blurred)`."""
    if face.label == UNKNOWN:
        return UNKNOWN if face.reason is None else f"{UNKNOWN} ({face.reason})"
    return f"{face.label} {100 * face.probabilities[face.label]:.0f} %"


def _face(
    number: int, found: Detection, crop: Pixels, row: Probabilities, classifier: FaceClassifier
) -> Face:
    reason = rejection_reason(crop, found.box.width, found.turn, QualitySettings())
    if reason is None and row.max() < classifier.threshold:
        reason = UNSURE
    label = UNKNOWN if reason else classifier.labels[int(row.argmax())]
    return Face(number, found.box, found.score, label, classifier.by_label(row), reason)
