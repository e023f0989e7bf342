"""The mood of one face over time: slow to change, and silent when it is not sure."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.labels import UNKNOWN

FLOOR = 1e-3
"""Least probability taken into the logarithm, so that one sure frame is soon forgotten."""


class MoodSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mood]` table."""

    seconds: float = 0.5
    """Time constant of the smoothing: a step in the readings is 63 % through after this."""
    threshold: float = 0.4
    """Smoothed probability that a label needs before it is said, 0..1."""
    hysteresis: float = 0.1
    """How far a label must pass the one that holds; how far below `threshold` that one may fall."""
    dwell: float = 0.4
    """Seconds for which a change must be wanted before it is made."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or not 0 <= self.hysteresis < self.threshold:
            raise ValueError("threshold must be between 0 and 1, hysteresis from 0 to threshold")
        if self.seconds < 0 or self.dwell < 0:
            raise ValueError("seconds and dwell must not be negative")


class Mood:
    """Smooths the readings of one face and names its mood."""

    def __init__(self, labels: tuple[str, ...], settings: MoodSettings) -> None:
        self._labels, self._settings = labels, settings
        self._logs: NDArray[np.float64] | None = None
        self._smoothed = np.zeros(len(labels))
        self._time = 0.0
        self._wanted, self._wanted_since = UNKNOWN, 0.0
        self.label = UNKNOWN
        """What is said now."""

    @property
    def confidence(self) -> float:
        """Smoothed probability of `label`; of the likeliest label while it is `unknown`."""
        if self.label == UNKNOWN:
            return float(self._smoothed.max())
        return self._probability(self.label)

    def update(self, probabilities: NDArray[np.floating], time: float) -> None:
        """Take one frame's calibrated probabilities (labels,) and its time in seconds."""
        first = self._logs is None
        self._smooth(np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR)), time)
        wanted = self._choose()
        if wanted != self._wanted:
            self._wanted, self._wanted_since = wanted, time
        if first or time - self._wanted_since >= self._settings.dwell:
            self.label = wanted

    def _smooth(self, logs: NDArray[np.float64], time: float) -> None:
        """Average log-probabilities with weights that fade by the time constant."""
        past = self._logs
        if past is None or self._settings.seconds == 0:
            self._logs = logs
        else:
            fresh = 1 - math.exp(-max(0.0, time - self._time) / self._settings.seconds)
            self._logs = past + fresh * (logs - past)
        self._time = time
        powers = np.exp(self._logs - self._logs.max())
        self._smoothed = powers / powers.sum()

    def _choose(self) -> str:
        """Return the label that the smoothed probabilities ask for, given what holds."""
        enough, step = self._settings.threshold, self._settings.hysteresis
        best = self._labels[int(self._smoothed.argmax())]
        best_or_none = best if self._probability(best) >= enough else UNKNOWN
        if self.label == UNKNOWN:
            return best_or_none
        held = self._probability(self.label)
        if held < enough - step:
            return best_or_none
        overtaken = self._probability(best) >= max(enough, held + step)
        return best if overtaken else self.label

    def _probability(self, label: str) -> float:
        return float(self._smoothed[self._labels.index(label)])
