"""What the model says of known faces, on the very machine and runtime that was timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefer.bundle import Bundle
from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer.labels import FER2013
from edgefer_device.bench.components import Parts
from edgefer_device.bench.detector_data import Labelled, read_fer2013
from edgefer_device.bench.result import Accuracy

PART = "PrivateTest"
SHORT = 500
"""Pictures of a short run, drawn at random, always the same."""


def read_faces(bundle: Bundle, folder: Path, short: bool) -> Labelled:
    """Read PrivateTest; raise `DatasetError`, or `SettingsError` for a model of other labels."""
    if bundle.manifest.labels != FER2013:
        raise SettingsError(
            f"--data knows FER2013's seven labels, and {bundle.manifest.name} has others: "
            f"{', '.join(bundle.manifest.labels)}; measure it with: edgefer evaluate"
        )
    return read_fer2013(folder, PART, SHORT if short else None)


def measure_accuracy(parts: Parts, faces: Labelled) -> Accuracy:
    """Read each face by itself, as the daemon does."""
    resize = parts.bundle.manifest.input.preprocess.resize
    pairs = list(zip(faces.pictures, faces.labels, strict=True))
    return Accuracy.of(
        [
            bool(parts.classifier.logits(resize(picture)[np.newaxis])[0].argmax() == label)
            for picture, label in track(pairs, f"accuracy on {PART}")
        ]
    )
