"""The mood of one face over time: smoothed, slow to change, `unknown` when unsure."""

from __future__ import annotations

import math
from collections import deque
from typing import Annotated, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgefer.labels import THRESHOLD, UNKNOWN
from edgefer.messages import UNSURE

FLOOR = 1e-3
"""Least probability taken into the logarithm, so that one sure frame is soon forgotten."""

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

T = TypeVar("T")


class MoodSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mood]` table."""

    seconds: Annotated[float, Meta(ge=0, le=60)] = 0.5
    """Time constant of the smoothing: a step in the readings is 63 % through after this."""
    threshold: Annotated[float, Meta(ge=0.01, le=0.99)] = THRESHOLD
    """Smoothed probability that a label needs to be reported."""
    hysteresis: Annotated[float, Meta(ge=0, le=0.99)] = 0.1
    """How far a label must pass the one that holds; how far below `threshold` that one may fall."""
    dwell: Annotated[float, Meta(ge=0, le=60)] = 0.4
    """Seconds for which a change must be wanted before it is made."""
    baseline: bool = False
    """Whether each face is compared with its own rest, learned while it is in view."""

    def __post_init__(self) -> None:
        if self.hysteresis >= self.threshold:
            raise ValueError(
                f"hysteresis must be below threshold, {self.threshold:g}, got {self.hysteresis:g}"
            )

    def with_threshold(self, threshold: float | None) -> MoodSettings:
        """Return the same with another threshold, if one is given: hysteresis stays below it."""
        if threshold is None or threshold == self.threshold:
            return self
        hysteresis = min(self.hysteresis, threshold / 2)
        return msgspec.structs.replace(self, threshold=threshold, hysteresis=hysteresis)


class Dwell(Generic[T]):
    """A value that changes only when the change was wanted for a while."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._wanted, self._since = value, -math.inf

    def request(self, value: T, time: float, dwell: float) -> None:
        """Ask for a value at a time in seconds; it holds once asked for over `dwell` seconds."""
        if value != self._wanted:
            self._wanted, self._since = value, time
        if time - self._since >= dwell:
            self.value = value


class Baseline:
    """What one face looks like at rest, so that its build is not taken for a mood.

    Some faces read as sad or angry whenever they rest. The median of what was read of a face over
    the last minutes is its rest, and rest is called neutral: what is left is how far the face is
    from its own rest. Kept in memory for as long as the track lives, and nowhere else.
    """

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


class Mood:
    """Smooths the readings of one face and names its mood."""

    def __init__(self, labels: tuple[str, ...], settings: MoodSettings) -> None:
        self.settings = settings
        """May be replaced at any time; `baseline` counts at the start only."""
        self._labels = labels
        self._baseline = Baseline(labels) if settings.baseline else None
        self._logs: NDArray[np.float64] | None = None
        self._smoothed = np.zeros(len(labels))
        self._time = 0.0
        self._label: Dwell[str] | None = None
        self._reason = Dwell(UNSURE)

    @property
    def label(self) -> str:
        """The label that is reported now."""
        return UNKNOWN if self._label is None else self._label.value

    @property
    def reason(self) -> str | None:
        """Why the label is `unknown`, one of `messages.REASONS`; None when it is not."""
        return self._reason.value if self.label == UNKNOWN else None

    @property
    def confidence(self) -> float:
        """Smoothed probability of `label`; of the likeliest label while it is `unknown`."""
        if self.label == UNKNOWN:
            return float(self._smoothed.max())
        return self._probability(self.label)

    def update(self, probabilities: NDArray[np.floating], time: float) -> None:
        """Take one frame's calibrated probabilities (labels,) and its time in seconds."""
        logs = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR))
        self._smooth(logs if self._baseline is None else self._baseline.correct(logs, time), time)
        self._want(self._choose(), UNSURE, time)

    def miss(self, reason: str, time: float) -> None:
        """Take a frame in which the face could not be read, and why."""
        self._want(UNKNOWN, reason, time)

    def _want(self, label: str, reason: str, time: float) -> None:
        if self._label is None:
            self._label, self._reason = Dwell(label), Dwell(reason)
        self._label.request(label, time, self.settings.dwell)
        self._reason.request(reason, time, self.settings.dwell)

    def _smooth(self, logs: NDArray[np.float64], time: float) -> None:
        """Average log-probabilities with weights that fade by the time constant."""
        past = self._logs
        if past is None or self.settings.seconds == 0:
            self._logs = logs
        else:
            fresh = 1 - math.exp(-max(0.0, time - self._time) / self.settings.seconds)
            self._logs = past + fresh * (logs - past)
        self._time = time
        powers = np.exp(self._logs - self._logs.max())
        self._smoothed = powers / powers.sum()

    def _choose(self) -> str:
        """Return the label that the smoothed probabilities ask for, given what holds."""
        enough, step = self.settings.threshold, self.settings.hysteresis
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
