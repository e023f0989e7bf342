"""The faces of one picture, without tracking or smoothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from edgefer.bundle import open_bundle
from edgefer.errors import ImageError
from edgefer.labels import UNKNOWN
from edgefer.manifest import Manifest
from edgefer.messages import Detection, Face, Prediction
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier, open_classifier
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.quality import QualitySettings, rejection_reason
from edgefer_device.mood.filter import Mood, MoodSettings
from edgefer_device.pipeline.face_classifier import FaceClassifier, Probabilities


def predict(
    path: Path, detector: FaceDetector, classifier: Classifier, manifest: Manifest
) -> Prediction:
    """Return the faces of an image file, the surest first; their `track` counts from 1.

    A label is `unknown` under the threshold that also holds for a mood. Raises
    `ImageError` when the file is absent or not an image.
    """
    picture, reader = read_picture(path), FaceClassifier(classifier, manifest)
    found = detector.detect(picture)
    crops = reader.crop(picture, [face.box for face in found])
    rows = reader.read(crops)
    faces = map(_face, range(1, len(found) + 1), found, crops, rows, [reader] * len(found))
    return Prediction(str(path), tuple(faces))


def predictions(
    paths: Iterable[Path], detector: str | None = None, model: str | None = None
) -> Iterator[Prediction]:
    """Yield the prediction for each image file, by names of a detector and a bundle."""
    bundle = open_bundle(model or Config().model)
    classifier = open_classifier(bundle)
    finder = open_detector(detector)
    for path in paths:
        yield predict(path, finder, classifier, bundle.manifest)


def describe(prediction: Prediction) -> str:
    """Return a prediction for people: `party.jpg: happy 93 %, unknown`."""
    return f"{prediction.image}: {', '.join(map(said, prediction.faces)) or 'no face'}"


def said(face: Face) -> str:
    """Return what is said of a face: `happy 93 %`, or `unknown (blurred)`."""
    if face.label == UNKNOWN:
        return UNKNOWN if face.reason is None else f"{UNKNOWN} ({face.reason})"
    return f"{face.label} {100 * face.probabilities[face.label]:.0f} %"


def read_picture(path: Path) -> Pixels:
    """Return an image file as BGR uint8 (H, W, 3), turned as its EXIF says."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ImageError(f"{path}: {exc.strerror or exc}") from exc
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if picture is None:
        raise ImageError(f"{path}: not an image that OpenCV can read (JPEG, PNG, WebP, ...)")
    return np.asarray(picture, np.uint8)


def _face(
    number: int, found: Detection, crop: Pixels, row: Probabilities, classifier: FaceClassifier
) -> Face:
    mood = Mood(classifier.labels, MoodSettings())
    reason = rejection_reason(crop, found.box.width, found.turn, QualitySettings())
    if reason is None:
        mood.update(row, 0.0)
    else:
        mood.miss(reason, 0.0)
    return Face(number, found.box, found.score, mood.label, classifier.by_label(row), mood.reason)
