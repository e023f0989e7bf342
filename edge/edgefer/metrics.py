"""Metrics of a classifier: small functions over logits and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Logits = NDArray[np.float32]
"""(N, labels)."""


class ClassScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores of one label."""

    n: Count
    precision: Share
    recall: Share
    f1: Share


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores of one format of a model on PrivateTest; shares are 0..1."""

    accuracy: Share
    accuracy_leak_free: Share
    """On the images without a copy or near-copy in Training."""
    n: Count
    n_leak_free: Count
    macro_f1: Share
    calibration_error: Share
    """Expected calibration error in 15 bins (Guo et al. 2017)."""
    agreement_with_float: Share
    """Share of images on which this format and the float model say the same label."""
    per_class: dict[str, ClassScore]

    @property
    def bounds(self) -> Interval:
        """The 95 % interval of `accuracy`."""
        return wilson(self.accuracy, self.n)

    @property
    def bounds_leak_free(self) -> Interval:
        """The 95 % interval of `accuracy_leak_free`; 0 to 1 where no image is leak-free."""
        return wilson(self.accuracy_leak_free, self.n_leak_free)

    @property
    def interval(self) -> float:
        """Half of the width of `bounds`."""
        return (self.bounds.high - self.bounds.low) / 2


class Interval(NamedTuple):
    """The ends of an interval, 0..1."""

    low: float
    high: float


class Bin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predictions whose confidence lies between two bounds."""

    low: float
    high: float
    n: int
    confidence: float
    """Mean confidence; 0 in an empty bin."""
    accuracy: float
    """Share that is correct; 0 in an empty bin."""


class CoveragePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point of the risk-coverage curve: predictions with confidence from a threshold on."""

    threshold: float
    n: int
    """Images that are answered."""
    coverage: float
    """Their share of all."""
    accuracy: float
    """Share of them that is correct; 0 where there is none."""


class PairedTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two models on the same images, by McNemar's test."""

    n: int
    only_first: int
    """Images that only the first classified correctly."""
    only_second: int
    p_value: float
    """Of a difference this large or larger if both were equally good; exact, two-sided."""


def softmax(logits: Logits, temperature: float = 1.0) -> NDArray[np.float32]:
    """Return probabilities (N, labels) of logits divided by a temperature."""
    scaled = logits.astype(np.float32) / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def score(
    logits: Logits,
    labels: NDArray[np.integer],
    names: tuple[str, ...],
    leak_free: NDArray[np.bool_],
    temperature: float,
    reference: Logits,
) -> Scores:
    """Score logits against labels (N,); `reference` are the float model's logits."""
    predicted = logits.argmax(-1)
    correct = predicted == labels
    per_class = {name: _class_score(predicted, labels, index) for index, name in enumerate(names)}
    return Scores(
        accuracy=float(correct.mean()),
        accuracy_leak_free=float(correct[leak_free].mean()) if leak_free.any() else 0.0,
        n=len(labels),
        n_leak_free=int(leak_free.sum()),
        macro_f1=float(np.mean([one.f1 for one in per_class.values()])),
        calibration_error=calibration_error(softmax(logits, temperature), labels),
        agreement_with_float=float((predicted == reference.argmax(-1)).mean()),
        per_class=per_class,
    )


def _class_score(
    predicted: NDArray[np.integer], labels: NDArray[np.integer], index: int
) -> ClassScore:
    hits = int(((predicted == index) & (labels == index)).sum())
    claimed, present = int((predicted == index).sum()), int((labels == index).sum())
    precision, recall = hits / max(claimed, 1), hits / max(present, 1)
    f1 = 2 * hits / max(claimed + present, 1)
    return ClassScore(n=present, precision=precision, recall=recall, f1=f1)


def calibration_error(
    probabilities: NDArray[np.float32], labels: NDArray[np.integer], bins: int = 15
) -> float:
    """Return the expected calibration error of probabilities (N, labels), 0..1."""
    parts = reliability(probabilities, labels, bins)
    return sum(abs(part.accuracy - part.confidence) * part.n for part in parts) / len(labels)


def reliability(
    probabilities: NDArray[np.float32], labels: NDArray[np.integer], bins: int = 15
) -> tuple[Bin, ...]:
    """Return the reliability diagram, in bins of equal width (Guo et al. 2017)."""
    confidence, correct = probabilities.max(-1).astype(float), probabilities.argmax(-1) == labels
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return tuple(
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            n=int((at == index).sum()),
            confidence=_mean(confidence[at == index]),
            accuracy=_mean(correct[at == index]),
        )
        for index in range(bins)
    )


def coverage(
    probabilities: NDArray[np.float32], labels: NDArray[np.integer], thresholds: Sequence[float]
) -> tuple[CoveragePoint, ...]:
    """Return the risk-coverage curve of probabilities (N, labels), a point for each threshold.

    Source: El-Yaniv & Wiener 2010, "On the Foundations of Noise-free Selective Classification".
    """
    confidence, correct = probabilities.max(-1), probabilities.argmax(-1) == labels
    points = ((threshold, confidence >= threshold) for threshold in thresholds)
    return tuple(
        CoveragePoint(threshold, int(predicted.sum()), _mean(predicted), _mean(correct[predicted]))
        for threshold, predicted in points
    )


def confusion(
    predicted: NDArray[np.integer], labels: NDArray[np.integer], size: int
) -> NDArray[np.int64]:
    """Return the confusion matrix (size, size): a row a label, a column a prediction."""
    cells = labels.astype(np.int64) * size + predicted
    return np.bincount(cells, minlength=size * size).reshape(size, size).astype(np.int64)


def wilson(share: float, n: int) -> Interval:
    """Return the 95 % score interval of a share of `n` (Wilson 1927); 0 to 1 for none."""
    if n == 0:
        return Interval(0.0, 1.0)
    z = 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def paired_difference(difference: float, differing: float, n: int) -> Interval:
    """Return the 95 % interval of a difference of two shares of the same `n` images.

    `differing` is the share of images on which the two can differ at all. Source: Agresti & Min
    2005, who add half an image to either side.
    """
    total = n + 2
    middle = difference * n / total
    spread = (differing * n + 1) / total - middle * middle
    half = 1.959964 * math.sqrt(max(spread, 0.0) / total)
    return Interval(middle - half, middle + half)


def error_by_chance(probabilities: NDArray[np.floating], draws: int = 200) -> float:
    """Return what the calibration error of these predictions (N, labels) seldom exceeds by chance.

    It is the 95 % quantile over labels that are drawn from the predictions themselves, which
    are then calibrated. Source: consistency resampling, Bröcker & Smith 2007.
    """
    random, upper = np.random.default_rng(0), np.cumsum(probabilities, -1)
    errors = []
    for _ in range(draws):
        drawn = (random.random((len(upper), 1)) > upper[:, :-1]).sum(-1)
        errors.append(calibration_error(probabilities, drawn))
    return float(np.quantile(errors, 0.95))


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Compare two models by which images (N,) each classified correctly.

    Source: McNemar 1947; the exact binomial form, which holds for few differences too.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differ = only_first + only_second
    # Integers: as a float 2**-differ is 0 from some thousand differences on.
    ways = tail = 1
    for hits in range(min(only_first, only_second)):
        ways = ways * (differ - hits) // (hits + 1)
        tail += ways
    return PairedTest(len(first), only_first, only_second, min(1.0, 2 * tail / 2**differ))


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def confidence_covering(confidence: NDArray[np.floating], share: float) -> float:
    """Return the confidence that this share of the predictions (N,) reaches, rounded down."""
    return math.floor(1e4 * float(np.quantile(confidence, 1 - share))) / 1e4


def best_temperature(logits: Logits, labels: NDArray[np.integer]) -> float:
    """Return the temperature of least log-loss on these faces, 0.25 to 4 (Guo et al. 2017)."""
    candidates = np.exp(np.linspace(math.log(0.25), math.log(4), 161))

    def loss(temperature: float) -> float:
        chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(chosen, 1e-9)).mean())

    return round(float(min(candidates, key=loss)), 4)
