"""The heads of a model, one for each label set, and how their logits become probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.affine import Affine
from edgefer.labels import BOTH, check_labels
from edgefer.metrics import Logits, Scores, softmax

TEMPERATURES = (0.01, 100.0)
LEAST_THRESHOLD = 0.01
"""A mood divides by the threshold."""
LARGEST_SCALE, LARGEST_BIAS = 10.0, 20.0
WEIGHT = 0.3
"""Of the second head beside the first: what FER+'s votes add to FER2013's labels."""


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures by which logits are read, found on PublicTest, and the scores that they lead to."""

    temperature: float = 1.0
    """Logits divided by this give calibrated probabilities (Guo et al. 2017)."""
    threshold: float = 0.4
    """Confidence that 85 % of PublicTest reach, by default that of a mood, 0..1."""
    scores: dict[str, Scores] = {}
    """By format, `float` among them, on PrivateTest."""

    def __post_init__(self) -> None:
        if not TEMPERATURES[0] <= self.temperature <= TEMPERATURES[1]:
            low, high = TEMPERATURES
            raise ValueError(f"temperature must be {low} to {high}, got {self.temperature}")
        if not LEAST_THRESHOLD <= self.threshold <= 1:
            raise ValueError(f"threshold must be {LEAST_THRESHOLD} to 1, got {self.threshold}")


class VectorScaling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scale and a bias for each label's log-probability (vector scaling; Guo et al. 2017)."""

    scales: tuple[float, ...]
    """The reciprocals of a temperature for each label."""
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.scales) != len(self.biases):
            raise ValueError("scales and biases must be as many as labels")
        if not all(0 < scale < LARGEST_SCALE for scale in self.scales):
            raise ValueError(f"scales must be above 0 and below {LARGEST_SCALE:g}")
        if not all(abs(bias) < LARGEST_BIAS for bias in self.biases):
            raise ValueError(f"biases must be below {LARGEST_BIAS:g} either way")

    def apply(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what probabilities (N, labels) become."""
        scales, biases = np.array([self.scales, self.biases], np.float32)
        return softmax(scales * log_probabilities(probabilities) + biases)


def log_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the logarithms of probabilities, none of which counts as less than 1e-6."""
    return np.asarray(np.log(np.maximum(probabilities, 1e-6)), np.float32)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output of the model: a logit for each label of a set."""

    label_set: str
    labels: tuple[str, ...]
    affine: Affine
    """Of the output of int8 files."""
    calibration: Calibration = Calibration()

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len({*self.labels, ""}) != len(self.labels) + 1:
            raise ValueError(f"labels must be two or more different names, got {self.labels}")
        check_labels(self.labels, "labels")


class Ensemble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both heads of a model together, by the labels of the first."""

    weight: float = WEIGHT
    """Of the second head, 0..1."""
    calibration: Calibration = Calibration()

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be 0 to 1, got {self.weight}")


class Term(msgspec.Struct, frozen=True):
    """What one head adds to the logits of a decoder's labels."""

    columns: tuple[int, ...]
    """Of the heads' logits side by side: one for each label."""
    factor: float


@dataclass(frozen=True, slots=True)
class Decoder:
    """Turns the logits of all heads, side by side, into probabilities of one set of labels.

    Both heads give the normalized geometric mean of their probabilities (a logarithmic opinion
    pool): a weighted sum of logits. A label that the first head lacks, as `contempt`, is left
    out, which shares it out among the others.
    """

    label_set: str
    """`both` for the ensemble."""
    labels: tuple[str, ...]
    terms: tuple[Term, ...]
    calibration: Calibration
    own: VectorScaling | None = None
    """A household's own calibration, after the model's."""

    def logits(self, heads: Logits) -> Logits:
        """Return logits (N, labels) of the heads' (N, labels of all heads)."""
        parts = [term.factor * heads[:, list(term.columns)] for term in self.terms]
        return np.asarray(sum(parts[1:], parts[0]), np.float32)

    def probabilities(self, heads: Logits) -> NDArray[np.float32]:
        """Return calibrated probabilities (N, labels) of the heads' logits."""
        found = softmax(self.logits(heads), self.calibration.temperature)
        return found if self.own is None else self.own.apply(found)


def decoder_of(heads: Sequence[Head], label_set: str) -> Decoder:
    """Return the decoder of one of the heads of a file."""
    at = [head.label_set for head in heads].index(label_set)
    head, start = heads[at], sum(len(one.labels) for one in heads[:at])
    term = Term(tuple(range(start, start + len(head.labels))), 1.0)
    return Decoder(label_set, head.labels, (term,), head.calibration)


def ensemble_decoder(heads: Sequence[Head], ensemble: Ensemble) -> Decoder:
    """Return the decoder of two heads together, by the labels of the first."""
    first, second = heads
    start, shares = len(first.labels), (1 - ensemble.weight, ensemble.weight)
    columns = (
        tuple(range(start)),
        tuple(start + second.labels.index(label) for label in first.labels),
    )
    terms = tuple(
        Term(its, share / head.calibration.temperature)
        for its, share, head in zip(columns, shares, heads, strict=True)
    )
    return Decoder(BOTH, first.labels, terms, ensemble.calibration)
