"""Measurements of every format of a model, each by its own runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace as changed

from edgefer.bundle import Bundle
from edgefer.heads import Calibration
from edgefer.labels import BOTH
from edgefer.manifest import Counted, Manifest
from edgefer.metrics import (
    Logits,
    Scores,
    best_temperature,
    confidence_covering,
    confusion,
    error_by_chance,
    score,
    softmax,
)
from edgefer.preprocess import Pixels
from edgefer.runtime import RUNTIMES, open_classifier
from edgefer_convert.formats.table import FORMATS, INT8_TFLITE
from edgefer_convert.formats.tflite import float_tensors
from edgefer_train.data.dataset import Dataset, Relabelled, Usage, plurality
from edgefer_train.evaluation.corruptions import CORRUPTIONS, corrupt
from edgefer_train.evaluation.evaluate import classify_all

COVERED = 0.85
"""Share of PublicTest that is at least as sure as a head's threshold."""


@dataclass(frozen=True)
class Measurements:
    """All that the gate checks of one head."""

    head: str
    """Its label set."""
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
    error_by_chance: Mapping[str, float] = field(default_factory=dict)
    """By format: what the calibration error would seldom exceed were there none."""
    corruption_drop: float = 0.0
    """Of the first format, where the limits ask for it."""


def calibrate(bundle: Bundle, dataset: Dataset) -> tuple[Bundle, dict[str, np.ndarray]]:
    """Return the bundle with each head's temperature, of least log-loss on PublicTest, its
    threshold, and the confusion there by label set. Its first format, which devices run, stands
    for all."""
    manifest = bundle.manifest
    first = next(format for format in RUNTIMES if format in manifest.files)
    whole = dataset.with_labels(manifest.label_sets[0])
    images = whole.part(Usage.PublicTest).images
    logits = classify_all(open_classifier(bundle, first), images, f"PublicTest, {first}")
    tables = {}
    for label_set in manifest.calibrations:
        own, decoder = _labelled(whole, label_set, manifest), manifest.decoder(label_set)
        found, labels = decoder.logits(logits), own.part(Usage.PublicTest).labels
        clear = found[own.rows_in(whole, Usage.PublicTest)]
        temperature = best_temperature(clear, labels)
        confidence = softmax(found, temperature).max(-1)
        figures = Calibration(temperature, confidence_covering(confidence, COVERED))
        manifest = manifest.calibrated({label_set: figures})
        tables[label_set] = confusion(clear.argmax(-1), labels, len(decoder.labels))
    return Bundle(bundle.path, manifest, bundle.contents), tables


def measure_formats(
    bundle: Bundle,
    dataset: Dataset,
    float_logits: Callable[[Pixels], Logits],
    confusions: Mapping[str, np.ndarray],
    edgetpu_mapped: float | None,
) -> tuple[Manifest, tuple[Measurements, ...]]:
    """Measure every format of a bundle on PrivateTest, and its files; return the manifest with
    the scores, and what the gate checks of each head.

    `float_logits` is the model that the formats were made from, `confusions` those of `calibrate`.
    """
    manifest = bundle.manifest
    whole = dataset.with_labels(manifest.label_sets[0])
    images = whole.part(Usage.PrivateTest).images
    logits = {
        format: classify_all(open_classifier(bundle, format), images, f"PrivateTest, {format}")
        for format in RUNTIMES
        if format in manifest.files
    }
    reference = float_logits(images)
    scores, predictions, by_chance = {}, {}, {}
    for label_set in manifest.calibrations:
        own, expected = _labelled(whole, label_set, manifest), manifest.decoder(label_set)
        private, rows = own.part(Usage.PrivateTest), own.rows_in(whole, Usage.PrivateTest)
        decoded = dict(_decoded(manifest, label_set, logits))
        right = expected.logits(reference)[rows]
        scores[label_set] = {
            format: score(
                of_format[rows],
                private.labels,
                expected.labels,
                own.leak_free,
                expected.calibration.temperature,
                right,
            )
            for format, of_format in {"float": expected.logits(reference), **decoded}.items()
        }
        predictions[label_set] = {
            format: of_format[rows].argmax(-1) for format, of_format in decoded.items()
        }
        by_chance[label_set] = {
            format: error_by_chance(softmax(of_format[rows], expected.calibration.temperature))
            for format, of_format in decoded.items()
        }
    files = {format: file for format, file in manifest.files.items() if format in FORMATS}
    tensors = {one: float_tensors(bundle.read(one)) for one in INT8_TFLITE if one in files}
    found = tuple(
        Measurements(
            head=head,
            scores=scores[head],
            predictions=predictions[head],
            bytes={format: file.bytes for format, file in files.items()},
            macs=manifest.evidence.macs,
            float_tensors=tensors,
            confusion=confusions[head],
            edgetpu_mapped=edgetpu_mapped,
            error_by_chance=by_chance[head],
        )
        for head in manifest.label_sets
    )
    calibrations = manifest.calibrations
    measured = {one: changed(calibrations[one], scores=its) for one, its in scores.items()}
    return manifest.calibrated(measured), found


def corruption_drops(bundle: Bundle, dataset: Dataset) -> dict[str, float]:
    """Return by head the accuracy on PrivateTest that corruptions of the third strength cost."""
    manifest = bundle.manifest
    whole = dataset.with_labels(manifest.label_sets[0])
    first = next(format for format in RUNTIMES if format in manifest.files)
    classifier = open_classifier(bundle, first)

    def accuracies(images: Pixels) -> np.ndarray:
        logits = classify_all(classifier, images, f"PrivateTest, corrupted, {first}")
        return np.array([_accuracy(whole, head, manifest, logits) for head in manifest.label_sets])

    images = whole.part(Usage.PrivateTest).images
    spoiled = [accuracies(corrupt(images, kind, 3, seed=0)) for kind in CORRUPTIONS]
    drops = accuracies(images) - np.mean(spoiled, 0)
    return dict(zip(manifest.label_sets, map(float, drops), strict=True))


def _accuracy(whole: Dataset, head: str, manifest: Manifest, logits: Logits) -> float:
    own = _labelled(whole, head, manifest)
    found = manifest.decoder(head).logits(logits)[own.rows_in(whole, Usage.PrivateTest)]
    return float((found.argmax(-1) == own.part(Usage.PrivateTest).labels).mean())


def plurality_accuracy(bundle: Bundle, dataset: Dataset) -> Counted | None:
    """Return a FER+ head's accuracy on all images of which one label has the most votes."""
    manifest = bundle.manifest
    whole = dataset.source if isinstance(dataset, Relabelled) else dataset
    private = whole.part(Usage.PrivateTest)
    if "ferplus" not in manifest.label_sets or private.votes is None:
        return None
    labels = plurality(private.votes)
    rows = np.flatnonzero(labels >= 0)
    first = next(format for format in RUNTIMES if format in manifest.files)
    logits = classify_all(open_classifier(bundle, first), private.images[rows], "most votes")
    found = manifest.decoder("ferplus").logits(logits)
    return Counted(float((found.argmax(-1) == labels[rows]).mean()), len(rows))


def _labelled(dataset: Dataset, label_set: str, manifest: Manifest) -> Dataset:
    """Return the dataset under a label set, that of the first head for both together."""
    return dataset.with_labels(manifest.label_sets[0] if label_set == BOTH else label_set)


def _decoded(
    manifest: Manifest, label_set: str, logits: Mapping[str, Logits]
) -> Iterator[tuple[str, Logits]]:
    """Yield the logits of a label set by each format whose file has what they need."""
    for format, heads in logits.items():
        only = manifest.files[format].head
        if only in ("", label_set):
            yield format, manifest.decoder(label_set, format).logits(heads)
