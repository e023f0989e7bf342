"""What a face looks like at rest, so that its build is not taken for a mood.

Some faces read as sad or angry whenever they rest. The median of what was read of a face
over the last minutes is its rest, and rest is called neutral: what is left is how far the
face is from its own rest. Kept in memory for as long as the track lives, and nowhere else.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

NEUTRAL = "neutral"
REST = 0.7
"""Probability of neutral that a resting face gets; the other labels share the rest."""
STEP_SECONDS = 0.5
"""Between two readings that are kept."""
LEARNING_SECONDS = 20.0
"""Readings worth so much time are needed before anything is corrected."""
SPAN_SECONDS = 120.0
"""Readings older than this are forgotten. An expression that is held for more than half of
it becomes the face's rest: the price of not asking anybody to sit for a portrait."""

Logs = NDArray[np.float64]
"""(labels,) logarithms of probabilities."""


class Baseline:
    """The rest of one face."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        """Raise nothing: where the labels lack neutral, nothing is ever corrected."""
        self._kept: deque[Logs] = deque(maxlen=round(SPAN_SECONDS / STEP_SECONDS))
        self._last: float | None = None
        self._shift: Logs | None = None
        self._target: Logs | None = None
        if NEUTRAL in labels and len(labels) > 1:
            shares = np.full(len(labels), (1 - REST) / (len(labels) - 1))
            shares[labels.index(NEUTRAL)] = REST
            self._target = np.log(shares)

    @property
    def learned(self) -> bool:
        """Whether enough was seen to correct."""
        return self._shift is not None

    def correct(self, logs: Logs, time: float) -> Logs:
        """Take a reading (labels,) at its time in seconds; return it relative to the rest."""
        if self._target is None:
            return logs
        if self._last is None or time - self._last >= STEP_SECONDS:
            self._last = time
            self._kept.append(logs)
            if len(self._kept) * STEP_SECONDS >= LEARNING_SECONDS:
                self._shift = self._target - np.median(np.stack(self._kept), axis=0)
        return logs if self._shift is None else logs + self._shift
