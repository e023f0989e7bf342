"""Measurements of every format of a model, each by its own runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from edgefer.bundle import Bundle
from edgefer.metrics import Logits, Scores, best_temperature, confusion, score
from edgefer.preprocess import Pixels
from edgefer.runtime import RUNTIMES, open_classifier
from edgefer_convert.formats.table import FORMATS, INT8_TFLITE
from edgefer_convert.formats.tflite import float_tensors
from edgefer_train.data.dataset import Dataset, Faces, Usage
from edgefer_train.evaluation.evaluate import classify_all


@dataclass(frozen=True)
class Measurements:
    """All that the gate checks."""

    scores: Mapping[str, Scores]
    """By format that a runtime of ours opens, and of `float`, on PrivateTest."""
    predictions: Mapping[str, np.ndarray]
    """By format: the predicted label (N,) of each PrivateTest image."""
    bytes: Mapping[str, int]
    """By format."""
    macs: int
    float_tensors: Mapping[str, tuple[str, ...]]
    """By format of TFLite that should have none."""
    confusion: np.ndarray
    """(labels, labels) images of PublicTest: a row for the label, a column for the prediction."""
    edgetpu_mapped: float | None
    """Share of the operations, where there is an int8 file."""


def calibrate(bundle: Bundle, public: Faces) -> tuple[Bundle, np.ndarray]:
    """Return the bundle with its temperature, of least log-loss on PublicTest, and the
    confusion there. Its first format, which devices run, stands for all."""
    first = next(format for format in RUNTIMES if format in bundle.manifest.files)
    logits = classify_all(open_classifier(bundle, first), public.images, f"PublicTest, {first}")
    manifest = bundle.manifest
    temperature = best_temperature(logits, public.labels)
    output = msgspec.structs.replace(manifest.output, temperature=temperature)
    manifest = msgspec.structs.replace(manifest, output=output)
    table = confusion(logits.argmax(-1), public.labels, len(manifest.labels))
    return Bundle(bundle.path, manifest, bundle.contents), table


def measure_formats(
    bundle: Bundle,
    dataset: Dataset,
    float_logits: Callable[[Pixels], Logits],
    confusion: np.ndarray,
    edgetpu_mapped: float | None,
) -> Measurements:
    """Measure every format of a bundle on PrivateTest, and its files.

    `float_logits` is the model that the formats were made from, `confusion` that of `calibrate`.
    """
    manifest, private = bundle.manifest, dataset.part(Usage.PrivateTest)
    reference = float_logits(private.images)

    def score_of(logits: Logits) -> Scores:
        return score(
            logits,
            private.labels,
            manifest.labels,
            dataset.leak_free,
            manifest.output.temperature,
            reference,
        )

    scores, predictions = {"float": score_of(reference)}, {}
    for format in (format for format in RUNTIMES if format in manifest.files):
        classifier = open_classifier(bundle, format)
        logits = classify_all(classifier, private.images, f"PrivateTest, {format}")
        scores[format], predictions[format] = score_of(logits), logits.argmax(-1)
    files = {format: file for format, file in manifest.files.items() if format in FORMATS}
    return Measurements(
        scores=scores,
        predictions=predictions,
        bytes={format: file.bytes for format, file in files.items()},
        macs=manifest.evidence.macs,
        float_tensors={
            format: float_tensors(bundle.read(format)) for format in INT8_TFLITE if format in files
        },
        confusion=confusion,
        edgetpu_mapped=edgetpu_mapped,
    )
