"""Measuring a model on PrivateTest with the runtime that will run it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.console import track
from edgefer.errors import DatasetError
from edgefer.labels import FERPLUS
from edgefer.machine import machine
from edgefer.metrics import (
    Bin,
    CoveragePoint,
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

CHUNK = 100
"""Faces between two steps of the progress bar."""

THRESHOLDS = tuple(step / 100 for step in range(101))
"""At which the risk-coverage curve is taken."""


VOTED = (*FERPLUS, "unknown", "no face")
"""The columns of the FER+ votes."""

SHOWN = 24
"""Mistakes that a report shows."""


class Votes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Label of most FER+ annotators for one image."""

    label: str
    n: int
    """Of them."""
    of: int
    """Annotators."""


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wrong prediction."""

    row: int
    """Of the image within PrivateTest, from 0."""
    predicted: str
    label: str
    confidence: float
    annotators: Votes | None
    """None without votes, or with none that leads."""


class AnnotatorAgreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With whom FER+'s annotators side where model and label differ."""

    n: int
    """Wrong predictions on images for which one label has the most votes."""
    with_model: int
    with_label: int


class Evaluation(Scores, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One format of a model on PrivateTest, with what a report shows; `report.json`."""

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
    """Images: a row for each label, a column for each prediction."""
    threshold: float
    """Confidence under which the device reports `unknown` by default."""
    coverage: tuple[CoveragePoint, ...]
    mistakes: tuple[Mistake, ...]
    """The most confident wrong predictions."""
    annotators: AnnotatorAgreement | None
    """FER+'s annotators where the model is wrong; None where there are no votes."""

    files: tuple[str, ...] = ()
    """All that lies beside `report.json` in a report's folder."""

    @property
    def same_dataset(self) -> bool:
        """Whether this is the dataset that the model was trained on, so that its split holds."""
        return self.fingerprint == self.model.fingerprint

    @property
    def other_data_warning(self) -> str:
        """Warning for data that is not the model's own."""
        if not self.model.fingerprint:
            return (
                f"what {self.model.name} was trained on is not known here; if {self.dataset} was "
                "among it, the figures flatter it"
            )
        return (
            f"{self.dataset} is not the dataset that {self.model.name} was trained on "
            f"({self.model.dataset}, sha256 {self.model.fingerprint[:16]}); some of the images "
            "may have been in its Training, so that the figures flatter it"
        )

    @property
    def at_threshold(self) -> CoveragePoint:
        """Coverage and accuracy at the device's threshold."""
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
    names, labels, predicted = facts.labels, private.labels, measured.logits.argmax(-1)
    before, after = softmax(measured.logits), softmax(measured.logits, temperature)
    return Evaluation(
        **msgspec.structs.asdict(scores),
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
        reliability=reliability(after, labels),
        confusion=tuple(map(tuple, confusion(predicted, labels, len(names)).tolist())),
        threshold=threshold,
        coverage=coverage(after, labels, THRESHOLDS),
        mistakes=worst_mistakes(after, private, names),
        annotators=annotators_on(predicted, private, names)
        if facts.expected == "fer2013"
        else None,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Predictions of one format of a model on PrivateTest, and their scores."""

    logits: Logits
    reference: Logits
    """The float model's."""
    temperature: float
    scores: Scores


def measure(candidate: Candidate, format: str, dataset: Dataset) -> Measured:
    """Classify PrivateTest by one format and by the float model, and score the predictions.

    A temperature that the candidate does not know is found on PublicTest. Raises
    `DatasetError` when the dataset has other labels than the model.
    """
    facts, private = candidate.facts, dataset.part(Usage.PrivateTest)
    if dataset.labels != facts.labels:
        raise DatasetError(
            f"{dataset.name} has the labels {', '.join(dataset.labels)}; "
            f"{facts.path} predicts {', '.join(facts.labels)}"
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


def worst_mistakes(
    probabilities: NDArray[np.float32], faces: Faces, names: tuple[str, ...], count: int = SHOWN
) -> tuple[Mistake, ...]:
    """Return the most confident wrong predictions of probabilities (N, labels), worst first."""
    predicted, confidence = probabilities.argmax(-1), probabilities.max(-1)
    wrong = np.flatnonzero(predicted != faces.labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count].tolist()
    return tuple(
        Mistake(
            row=row,
            predicted=names[predicted[row]],
            label=names[faces.labels[row]],
            confidence=float(confidence[row]),
            annotators=_top_vote(faces, row),
        )
        for row in worst
    )


def annotators_on(
    predicted: NDArray[np.integer], faces: Faces, names: tuple[str, ...]
) -> AnnotatorAgreement | None:
    """Return with whom annotators side where `predicted` (N,) is wrong; None without votes."""
    if faces.votes is None:
        return None
    wrong = np.flatnonzero(predicted != faces.labels).tolist()
    tops = [(row, top.label) for row in wrong if (top := _top_vote(faces, row))]
    return AnnotatorAgreement(
        n=len(tops),
        with_model=sum(top == names[predicted[row]] for row, top in tops),
        with_label=sum(top == names[faces.labels[row]] for row, top in tops),
    )


def _top_vote(faces: Faces, row: int) -> Votes | None:
    """The label with the most votes, if it is one alone."""
    if faces.votes is None:
        return None
    votes = faces.votes[row]
    most = int(votes.max())
    if most == 0 or int((votes == most).sum()) != 1:
        return None
    return Votes(VOTED[int(votes.argmax())], most, int(votes.sum()))
