"""Measuring a bundle on PrivateTest with the runtime that will run it."""

from __future__ import annotations

import numpy as np

from edgefer.bundle import Bundle
from edgefer.errors import DatasetError
from edgefer.metrics import Logits, Scores, score
from edgefer.progress import shown
from edgefer.runtime import Classifier, open_classifier
from edgefer_train.dataset import Dataset, Usage

CHUNK = 100
"""Faces between two steps of the progress bar."""


def evaluate(bundle: Bundle, format: str, dataset: Dataset) -> Scores:
    """Score one format of a bundle on PrivateTest, all of it and its leak-free part.

    Agreement is with the bundle's float ONNX model. Raises `DatasetError` when the
    dataset has other labels than the model.
    """
    if dataset.labels != bundle.manifest.labels:
        raise DatasetError(
            f"{dataset.name} has the labels {', '.join(dataset.labels)}; "
            f"{bundle.path} speaks {', '.join(bundle.manifest.labels)}"
        )
    private = dataset.part(Usage.PrivateTest)
    logits = classify_all(open_classifier(bundle, format), private.images, f"PrivateTest, {format}")
    reference = logits
    if format != "onnx":
        reference = classify_all(
            open_classifier(bundle, "onnx"), private.images, "PrivateTest, onnx"
        )
    return score(
        logits,
        private.labels,
        bundle.manifest.labels,
        dataset.leak_free,
        bundle.manifest.output.temperature,
        reference,
    )


def classify_all(classifier: Classifier, images: np.ndarray, title: str) -> Logits:
    """Return logits (N, labels) of many faces (N, 48, 48) behind a progress bar."""
    starts = shown(range(0, len(images), CHUNK), title)
    return np.concatenate([classifier.logits(images[at : at + CHUNK]) for at in starts])
