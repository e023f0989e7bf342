"""Expressions in image files, face by face, without tracking or filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edgefer.bundle import open_bundle
from edgefer.labels import UNKNOWN
from edgefer.messages import UNSURE, Detection, Face, Prediction
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.quality import QualitySettings, rejection_reason
from edgefer_device.pipeline.analyzer import FaceClassifier, Probabilities
from edgefer_device.system.image_file import read_image


def predict(path: Path, detector: FaceDetector, classifier: FaceClassifier) -> Prediction:
    """Return the faces of an image file, the most confident first; `track` counts from 1.

    A label is `unknown` under the model's threshold. Raises `ImageError`.
    """
    image = read_image(path)
    found = detector.detect(image)
    crops = classifier.crop(image, [face.box for face in found])
    rows = classifier.read(crops)
    faces = [
        _face(number, *face, classifier)
        for number, face in enumerate(zip(found, crops, rows, strict=True), 1)
    ]
    return Prediction(str(path), tuple(faces))


def predictions(
    paths: Iterable[Path], detector: str | None = None, model: str | None = None
) -> Iterator[Prediction]:
    """Yield the prediction for each image file, by names of a detector and a bundle."""
    bundle = open_bundle(model or Config().model)
    classifier = FaceClassifier(open_classifier(bundle), bundle.manifest)
    opened = open_detector(detector)
    for path in paths:
        yield predict(path, opened, classifier)


def describe(prediction: Prediction) -> str:
    """Return a prediction in one line: `party.jpg: happy 93 %, unknown`."""
    return f"{prediction.image}: {', '.join(map(caption, prediction.faces)) or 'no face'}"


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
