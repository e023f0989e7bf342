"""What a face looks like at rest: the prior of all faces, and what is learned of one."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

NEUTRAL = "neutral"
FLOOR = 1e-3
"""Least probability in the logarithms."""
REST = 0.7
"""Probability of neutral that a resting face gets; the other labels share the rest."""
STEP_SECONDS = 0.5
"""Between two readings that are kept."""
LEARNING_SECONDS = 20.0
"""Readings worth so much time are needed before anything is corrected."""
SPAN_SECONDS = 120.0
"""Readings older than this are forgotten. An expression that is held for more than half of
it becomes the face's rest: the price of not asking anybody to sit for a portrait."""

Probabilities = NDArray[np.floating]
"""(labels,), or their logarithms."""


def expected(labels: tuple[str, ...], neutral: float) -> NDArray[np.float64]:
    """Return the prior (labels,) of a share of neutral faces; labels without it are all alike."""
    if NEUTRAL not in labels or len(labels) < 2:
        return np.full(len(labels), 1 / len(labels))
    others = (1 - neutral) / (len(labels) - 1)
    return np.array([neutral if label == NEUTRAL else others for label in labels])


class Baseline:
    """What one face looks like at rest, so that its build is not taken for a mood.

    Some faces read as sad or angry whenever they rest. The median of what was read of a face over
    the last minutes is its rest, and rest is called neutral: what is left is how far the face is
    from its own rest. Kept in memory for as long as the track lives, and nowhere else.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        """Raise nothing: where the labels lack neutral, nothing is ever corrected."""
        self._kept: deque[Probabilities] = deque(maxlen=round(SPAN_SECONDS / STEP_SECONDS))
        self._last: float | None = None
        self._shift: Probabilities | None = None
        self._target: Probabilities | None = None
        if NEUTRAL in labels and len(labels) > 1:
            self._target = np.log(expected(labels, REST))

    def correct(self, probabilities: Probabilities, time: float) -> Probabilities:
        """Take a reading (labels,) at its time in seconds; return it relative to the rest."""
        if self._target is None:
            return probabilities
        logs = np.log(np.maximum(probabilities, FLOOR))
        if self._last is None or time - self._last >= STEP_SECONDS:
            self._last = time
            self._kept.append(logs)
            if len(self._kept) * STEP_SECONDS >= LEARNING_SECONDS:
                self._shift = self._target - np.median(np.stack(self._kept), axis=0)
        if self._shift is None:
            return probabilities
        powers = np.exp(logs + self._shift)
        return np.asarray(powers / powers.sum(), np.float64)
