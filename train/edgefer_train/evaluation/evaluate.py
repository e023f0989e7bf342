"""Measuring a model on PrivateTest with the runtime that will run it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from edgefer.console import track
from edgefer.errors import DatasetError
from edgefer.machine import machine
from edgefer.metrics import (
    Answered,
    Bin,
    Interval,
    Logits,
    Scores,
    best_temperature,
    calibration_error,
    confusion,
    coverage,
    reliability,
    score,
    softmax,
)
from edgefer.runtime import Classifier
from edgefer_train.data.dataset import Dataset, Faces, Usage
from edgefer_train.evaluation.candidate import Candidate, Facts, require_format
from edgefer_train.evaluation.mistakes import Crowd, Mistake, crowd_on, worst_mistakes

CHUNK = 100
"""Faces between two steps of the progress bar."""

THRESHOLDS = tuple(step / 100 for step in range(101))
"""At which the risk-coverage curve is taken."""


class Evaluation(Scores, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One format of a model on PrivateTest, and all that it takes to judge it; `report.json`."""

    edgefer_evaluation: Literal[1] = 1
    """Version of this form; it also marks a folder as a report of ours."""
    model: Facts
    format: str
    bytes: int | None
    dataset: str
    fingerprint: str
    """sha256 of the dataset that it was measured on."""
    measured: str
    """Day, as 2026-01-31."""
    machine: str
    accuracy_interval: Interval
    """95 %, Wilson."""
    accuracy_leak_free_interval: Interval
    temperature: float
    calibration_error_before: float
    """At temperature 1; `calibration_error` is at `temperature`."""
    reliability_before: tuple[Bin, ...]
    reliability: tuple[Bin, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Images: a row for each label that was given, a column for each that was said."""
    threshold: float
    """Under this confidence the device says `unknown` unless it is told otherwise."""
    coverage: tuple[Answered, ...]
    mistakes: tuple[Mistake, ...]
    """The most confident wrong answers."""
    crowd: Crowd | None
    """What FER+'s annotators say where the model is wrong; None where there are no votes."""

    files: tuple[str, ...] = ()
    """All that lies beside `report.json` in a report's folder."""

    @property
    def own_data(self) -> bool:
        """Whether this is the dataset that the model was trained on, so that its split holds."""
        return self.fingerprint == self.model.fingerprint

    @property
    def doubt(self) -> str:
        """What to say where the data is not the model's own."""
        return (
            f"{self.dataset} is not the dataset that {self.model.name} was trained on "
            f"({self.model.dataset}, sha256 {self.model.fingerprint[:16]}); some of the images "
            "may have been in its Training, so that the figures flatter it"
        )

    @property
    def at_threshold(self) -> Answered:
        """What the device answers and how well."""
        return min(self.coverage, key=lambda point: abs(point.threshold - self.threshold))


def evaluate(
    candidate: Candidate, dataset: Dataset, format: str | None = None, threshold: float = 0.4
) -> Evaluation:
    """Measure one format of a model on PrivateTest, all of it and its leak-free part.

    Agreement is with the candidate's float model. Raises `DatasetError` when the dataset
    has other labels than the model and `SettingsError` for a format that it has not.
    """
    format = require_format(candidate, format)
    facts, private = candidate.facts, dataset.part(Usage.PrivateTest)
    measured = measure(candidate, format, dataset)
    scores, temperature = measured.scores, measured.temperature
    names, labels, said = facts.labels, private.labels, measured.logits.argmax(-1)
    before, sure = softmax(measured.logits), softmax(measured.logits, temperature)
    return Evaluation(
        **{name: getattr(scores, name) for name in Scores.__struct_fields__},
        model=facts,
        format=format,
        bytes=candidate.bytes(format),
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        measured=date.today().isoformat(),
        machine=machine(),
        accuracy_interval=scores.bounds,
        accuracy_leak_free_interval=scores.bounds_leak_free,
        temperature=temperature,
        calibration_error_before=calibration_error(before, labels),
        reliability_before=reliability(before, labels),
        reliability=reliability(sure, labels),
        confusion=tuple(map(tuple, confusion(said, labels, len(names)).tolist())),
        threshold=threshold,
        coverage=coverage(sure, labels, THRESHOLDS),
        mistakes=worst_mistakes(sure, private, names),
        crowd=crowd_on(said, private, names) if facts.label_set == "fer2013" else None,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What one format of a model says of PrivateTest."""

    logits: Logits
    reference: Logits
    """The float model's."""
    temperature: float
    scores: Scores


def measure(candidate: Candidate, format: str, dataset: Dataset) -> Measured:
    """Let one format and the float model answer PrivateTest, and score the answers.

    A temperature that the candidate does not know is found on PublicTest. Raises
    `DatasetError` when the dataset has other labels than the model.
    """
    facts, private = candidate.facts, dataset.part(Usage.PrivateTest)
    if dataset.labels != facts.labels:
        raise DatasetError(
            f"{dataset.name} has the labels {', '.join(dataset.labels)}; "
            f"{facts.path} speaks {', '.join(facts.labels)}"
        )
    temperature = _temperature(candidate, format, dataset)
    logits = reference = _classify(candidate, format, private, "PrivateTest")
    if format != candidate.reference:
        reference = _classify(candidate, candidate.reference, private, "PrivateTest")
    scores = score(logits, private.labels, facts.labels, dataset.leak_free, temperature, reference)
    return Measured(logits, reference, temperature, scores)


def _temperature(candidate: Candidate, format: str, dataset: Dataset) -> float:
    known = candidate.temperature(format)
    if known is not None:
        return known
    public = dataset.part(Usage.PublicTest)
    return best_temperature(_classify(candidate, format, public, "PublicTest"), public.labels)


def _classify(candidate: Candidate, format: str, faces: Faces, part: str) -> Logits:
    title = f"{candidate.facts.name}: {part}, {format}"
    return classify_all(candidate.classifier(format), faces.images, title)


def classify_all(classifier: Classifier, images: np.ndarray, title: str) -> Logits:
    """Return logits (N, labels) of many faces (N, side, side) behind a progress bar."""
    starts = track(range(0, len(images), CHUNK), title)
    return np.concatenate([classifier.logits(images[at : at + CHUNK]) for at in starts])
