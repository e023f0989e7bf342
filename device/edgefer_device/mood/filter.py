"""The mood of one face over time: the forward filter of a hidden Markov model (Rabiner 1989).

What a face shows is hidden: one of the labels, or `unknown`, which is a state like the others. A
belief, one probability for each, is carried from frame to frame:

1. Between two frames the face changes with probability 1 - exp(-dt / `seconds`), into whatever
   the prior expects: before a mirror, mostly neutral.
2. A frame multiplies it by the model's calibrated probabilities to the power of
   1 - exp(-dt / CORRELATION): frames 30 ms apart show nearly the same noise and count as one
   reading together, frames half a second apart count as two. Evidence of `unknown` is the odds of
   the likeliest label against those of the threshold: at the threshold both are alike.
3. Heavier tail: `OUTLIERS` of the readings may be about anything, so no frame is ever certain.
4. Longer memory for faint evidence: the evidence of a state counts up to 1 + `INERTIA` times as
   much as it is believed, for the model errs alike while a face stays as it is. A lead of less
   than that, however long it lasts, does not change a mood.

`edgefer dev mood` measures what comes of it; its constants were chosen by that on PublicTest and
clips.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgefer.labels import UNKNOWN
from edgefer.messages import UNSURE
from edgefer_device.mood.baseline import Baseline, expected

CORRELATION = 0.1
"""Seconds; the noise of real clips loses half its correlation in about this time."""
OUTLIERS = 0.03
"""Share of readings that say nothing; also what remains for each label in an unreadable frame."""
INERTIA = 1.0
"""How much more the evidence of what is believed counts, at most; 0 would be the plain filter."""
UNKNOWN_PRIOR = 0.1
"""Share of the time in which a face is expected to show nothing that can be named."""
REASON_SECONDS = 0.5
"""For which a reason must not be given before another is reported."""


class MoodSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mood]` table."""

    prior: Annotated[float, Meta(ge=0.01, le=0.99)] = 0.5
    """Share of faces that are expected to be neutral; the other labels share the rest."""
    seconds: Annotated[float, Meta(ge=0.1, le=600)] = 6.0
    """For how long an expression lasts on average: more is calmer, and a little later."""
    threshold: Annotated[float, Meta(ge=0.01, le=0.99)] | None = None
    """Probability that a label needs to be reported; None takes the model's own."""
    baseline: bool = False
    """Whether each face is compared with its own rest, learned while it is in view."""


class Mood:
    """Filters the readings of one face and names its mood."""

    def __init__(self, labels: tuple[str, ...], settings: MoodSettings, threshold: float) -> None:
        """`threshold`, 0..1, of the settings or the model, may be changed at any time."""
        self.threshold = threshold
        self._labels, self._seconds = labels, settings.seconds
        self._baseline = Baseline(labels) if settings.baseline else None
        named = expected(labels, settings.prior) * (1 - UNKNOWN_PRIOR)
        self._prior = np.append(named, UNKNOWN_PRIOR)
        self._belief = self._prior
        self._time: float | None = None
        self._was_read = False
        self._reason, self._given = UNSURE, -math.inf

    @property
    def label(self) -> str:
        """The label that is reported now: none whose probability is under the threshold."""
        reaches = self._was_read and self.confidence >= self.threshold
        return self._labels[int(self._belief[:-1].argmax())] if reaches else UNKNOWN

    @property
    def reason(self) -> str | None:
        """Why the label is `unknown`, one of `messages.REASONS`; None when it is not."""
        return self._reason if self.label == UNKNOWN else None

    @property
    def confidence(self) -> float:
        """Probability of the likeliest label, 0..1; 0 before the face was read."""
        return float(self._belief[:-1].max()) if self._was_read else 0.0

    def update(self, probabilities: NDArray[np.floating], time: float) -> None:
        """Take one frame's calibrated probabilities (labels,) and its time in seconds."""
        if self._baseline is not None:
            probabilities = self._baseline.correct(probabilities, time)
        shares = np.asarray(probabilities, np.float64) * (1 - OUTLIERS)
        shares += OUTLIERS / len(self._labels)
        doubt = (1 - shares.max()) * self.threshold / (1 - self.threshold)
        self._weigh(np.append(shares, doubt), time)
        self._was_read = True
        self._explain(UNSURE, time)

    def miss(self, reason: str, time: float) -> None:
        """Take a frame in which the face could not be read, and why."""
        self._weigh(np.append(np.full(len(self._labels), OUTLIERS), 1.0), time)
        self._explain(reason, time)

    def _explain(self, reason: str, time: float) -> None:
        """Take what would be the reason; while it is reported one holds, lest two alternate."""
        held = self.label == UNKNOWN and time - self._given < REASON_SECONDS
        if reason == self._reason or not held:
            self._reason, self._given = reason, time

    def _weigh(self, evidence: NDArray[np.float64], time: float) -> None:
        """Carry the belief to a frame and multiply it by the frame's evidence (labels + 1,)."""
        weight = 1.0
        if self._time is not None:
            passed = max(0.0, time - self._time)
            weight = 1 - math.exp(-passed / CORRELATION)
            changed = 1 - math.exp(-passed / self._seconds)
            self._belief = self._belief + changed * (self._prior - self._belief)
            evidence = evidence * (1 + INERTIA * self._belief)
        self._time = time
        belief = self._belief * evidence**weight
        self._belief = belief / belief.sum()
