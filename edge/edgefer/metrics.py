"""What a model's answers are worth: small functions over logits and labels."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
"""(N, labels)."""


class ClassScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one label does."""

    n: int
    precision: float
    recall: float
    f1: float


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one format of a model does on PrivateTest; shares are 0..1."""

    accuracy: float
    accuracy_leak_free: float
    """On the pictures without a copy or near-copy in Training."""
    n: int
    n_leak_free: int
    macro_f1: float
    calibration_error: float
    """Expected calibration error in 15 bins (Guo et al. 2017)."""
    agreement_with_float: float
    """Share of pictures on which this format and the float model say the same label."""
    per_class: dict[str, ClassScore]

    @property
    def interval(self) -> float:
        """Half of the 95 % interval of `accuracy`, by the normal approximation."""
        return 1.96 * math.sqrt(self.accuracy * (1 - self.accuracy) / self.n)


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
    said = logits.argmax(-1)
    right = said == labels
    per_class = {name: _class_score(said, labels, index) for index, name in enumerate(names)}
    return Scores(
        accuracy=float(right.mean()),
        accuracy_leak_free=float(right[leak_free].mean()) if leak_free.any() else 0.0,
        n=len(labels),
        n_leak_free=int(leak_free.sum()),
        macro_f1=float(np.mean([one.f1 for one in per_class.values()])),
        calibration_error=calibration_error(softmax(logits, temperature), labels),
        agreement_with_float=float((said == reference.argmax(-1)).mean()),
        per_class=per_class,
    )


def _class_score(said: NDArray[np.integer], labels: NDArray[np.integer], index: int) -> ClassScore:
    hits = int(((said == index) & (labels == index)).sum())
    claimed, present = int((said == index).sum()), int((labels == index).sum())
    precision, recall = hits / max(claimed, 1), hits / max(present, 1)
    f1 = 2 * hits / max(claimed + present, 1)
    return ClassScore(n=present, precision=precision, recall=recall, f1=f1)


def calibration_error(
    probabilities: NDArray[np.float32], labels: NDArray[np.integer], bins: int = 15
) -> float:
    """Return the expected calibration error of probabilities (N, labels), 0..1."""
    sure, right = probabilities.max(-1), probabilities.argmax(-1) == labels
    at = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(right[at == b].mean() - sure[at == b].mean()) * (at == b).mean()
            for b in range(bins) if (at == b).any()]  # fmt: skip
    return float(sum(gaps))


def best_temperature(logits: Logits, labels: NDArray[np.integer]) -> float:
    """Return the temperature of least log-loss on these faces, 0.25 to 4 (Guo et al. 2017)."""
    candidates = np.exp(np.linspace(math.log(0.25), math.log(4), 161))

    def loss(temperature: float) -> float:
        chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(chosen, 1e-9)).mean())

    return round(float(min(candidates, key=loss)), 4)
