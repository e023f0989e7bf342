"""Measurements of every format of a model, each by its own runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

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
from edgefer.runtime import RUNTIMES, first_format, open_classifier
from edgefer_convert.formats.table import FORMATS, INT8_TFLITE, REFERENCE
from edgefer_convert.formats.tflite import float_tensors
from edgefer_train.data.dataset import Dataset, Relabelled, Usage, plurality
from edgefer_train.evaluation.corruptions import CORRUPTIONS, corrupt
from edgefer_train.evaluation.evaluate import classify_all

COVERED = 0.85
"""Share of PublicTest that is at least as sure as a head's threshold."""


@dataclass(frozen=True)
class Measurements:
    """All that the gate checks of one head; without images nothing of what it predicts."""

    head: str
    """Its label set."""
    bytes: Mapping[str, int]
    """By format."""
    macs: int
    float_tensors: Mapping[str, tuple[str, ...]]
    """By format of TFLite that should have none."""
    edgetpu_mapped: float | None
    """Share of the operations, where there is an int8 file."""
    scores: Mapping[str, Scores] = field(default_factory=dict)
    """By format that a runtime of ours opens, and of `float`, on PrivateTest."""
    predictions: Mapping[str, np.ndarray] = field(default_factory=dict)
    """By format: the predicted label (N,) of each PrivateTest image."""
    confusion: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), int))
    """(labels, labels) images of PublicTest: a row for the label, a column for the prediction."""
    error_by_chance: Mapping[str, float] = field(default_factory=dict)
    """By format that computes in integers: what the calibration error would seldom exceed were
    there none."""
    corruption_drop: float = 0.0
    """Of the first format, where the limits ask for it."""


def calibrate(bundle: Bundle, dataset: Dataset) -> tuple[Bundle, dict[str, np.ndarray]]:
    """Return the bundle with each head's temperature, of least log-loss on PublicTest, its
    threshold, and the confusion there by label set. Its first format, which devices run, stands
    for all."""
    manifest = bundle.manifest
    first = _first(manifest)
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
    dataset: Dataset | None,
    float_logits: Callable[[Pixels], Logits],
    confusions: Mapping[str, np.ndarray],
    edgetpu_mapped: float | None,
) -> tuple[Manifest, tuple[Measurements, ...]]:
    """Measure every format of a bundle on PrivateTest, and its files; return the manifest with
    the scores, and what the gate checks of each head.

    `float_logits` is the model that the formats were made from, `confusions` those of `calibrate`.
    Without a dataset it is the files alone.
    """
    manifest = bundle.manifest
    files = {format: file for format, file in manifest.files.items() if format in FORMATS}
    tensors = {one: float_tensors(bundle.read(one)) for one in INT8_TFLITE if one in files}
    of_files = [
        Measurements(
            head=head,
            bytes={format: file.bytes for format, file in files.items()},
            macs=manifest.evidence.macs,
            float_tensors=tensors,
            edgetpu_mapped=edgetpu_mapped,
        )
        for head in manifest.label_sets
    ]
    if dataset is None:
        return manifest, tuple(of_files)
    whole = dataset.with_labels(manifest.label_sets[0])
    images = whole.part(Usage.PrivateTest).images
    logits = {
        format: classify_all(open_classifier(bundle, format), images, f"PrivateTest, {format}")
        for format in RUNTIMES
        if format in manifest.files
    }
    reference, found, scores = float_logits(images), [], {}
    for label_set in manifest.calibrations:
        own = _labelled(whole, label_set, manifest)
        rows = own.rows_in(whole, Usage.PrivateTest)
        of_set = {
            format: manifest.decoder(label_set, format).logits(heads)[rows]
            for format, heads in logits.items()
            if manifest.predicts(label_set, format)
        }
        right = manifest.decoder(label_set).logits(reference)[rows]
        scores[label_set] = _scores(manifest, own, label_set, {"float": right, **of_set})
        found += [
            _with_predictions(one, of_set, manifest, scores[label_set], confusions[label_set])
            for one in of_files
            if one.head == label_set
        ]
    calibrations = manifest.calibrations
    measured = {one: changed(calibrations[one], scores=its) for one, its in scores.items()}
    return manifest.calibrated(measured), tuple(found)


def _scores(
    manifest: Manifest, own: Dataset, label_set: str, logits: Mapping[str, Logits]
) -> dict[str, Scores]:
    """Return the scores of a label set by format, the first of which is what it should predict."""
    decoder, right = manifest.decoder(label_set), next(iter(logits.values()))
    labels, temperature = own.part(Usage.PrivateTest).labels, decoder.calibration.temperature
    return {
        format: score(one, labels, decoder.labels, own.leak_free, temperature, right)
        for format, one in logits.items()
    }


def _with_predictions(
    of_files: Measurements,
    logits: Mapping[str, Logits],
    manifest: Manifest,
    scores: Mapping[str, Scores],
    confusion: np.ndarray,
) -> Measurements:
    temperature = manifest.decoder(of_files.head).calibration.temperature
    return replace(
        of_files,
        scores=scores,
        predictions={format: one.argmax(-1) for format, one in logits.items()},
        confusion=confusion,
        error_by_chance={
            format: error_by_chance(softmax(one, temperature))
            for format, one in logits.items()
            if FORMATS[format].integer
        },
    )


def corruption_drops(bundle: Bundle, dataset: Dataset) -> dict[str, float]:
    """Return by head the accuracy on PrivateTest that corruptions of the third strength cost."""
    manifest = bundle.manifest
    whole = dataset.with_labels(manifest.label_sets[0])
    first = _first(manifest)
    classifier = open_classifier(bundle, first)
    heads = {head: _labelled(whole, head, manifest) for head in manifest.label_sets}

    def accuracies(images: Pixels) -> np.ndarray:
        logits = classify_all(classifier, images, f"PrivateTest, corrupted, {first}")
        found = []
        for head, own in heads.items():
            decoded = manifest.decoder(head).logits(logits)[own.rows_in(whole, Usage.PrivateTest)]
            found.append((decoded.argmax(-1) == own.part(Usage.PrivateTest).labels).mean())
        return np.array(found)

    images = whole.part(Usage.PrivateTest).images
    spoiled = [accuracies(corrupt(images, kind, 3, seed=0)) for kind in CORRUPTIONS]
    drops = accuracies(images) - np.mean(spoiled, 0)
    return dict(zip(heads, map(float, drops), strict=True))


def plurality_accuracy(bundle: Bundle, dataset: Dataset) -> Counted | None:
    """Return a FER+ head's accuracy on all images of which one label has the most votes."""
    manifest = bundle.manifest
    whole = dataset.source if isinstance(dataset, Relabelled) else dataset
    private = whole.part(Usage.PrivateTest)
    if "ferplus" not in manifest.label_sets or private.votes is None:
        return None
    labels = plurality(private.votes)
    rows = np.flatnonzero(labels >= 0)
    first = _first(manifest)
    logits = classify_all(open_classifier(bundle, first), private.images[rows], "most votes")
    found = manifest.decoder("ferplus").logits(logits)
    return Counted(float((found.argmax(-1) == labels[rows]).mean()), len(rows))


def _labelled(dataset: Dataset, label_set: str, manifest: Manifest) -> Dataset:
    """Return the dataset under a label set, that of the first head for both together."""
    return dataset.with_labels(manifest.label_sets[0] if label_set == BOTH else label_set)


def _first(manifest: Manifest) -> str:
    """Return the format that devices run, which stands for all; `onnx` is in every bundle."""
    return first_format(manifest.files) or REFERENCE
