"""The mood of one face over time: the forward filter of a hidden Markov model (Rabiner 1989).

What a face shows is hidden: one of the labels. A belief, a probability for each, is carried from
frame to frame:

1. Between two frames the face changes with probability 1 - exp(-dt / `seconds`), into whatever
   the prior expects: before a mirror, mostly neutral.
2. A frame multiplies it by the model's calibrated probabilities to the power of
   1 - exp(-dt / `CORRELATION`), for frames 30 ms apart share their noise.
3. Heavier tail: `OUTLIERS` of the readings may be about anything, so no frame is ever certain.
4. Longer memory for faint evidence: the evidence of a label counts up to 1 + `INERTIA` times, the
   more the more it is believed, for the model errs alike while a face stays as it is. A lead of
   less than that, however long it lasts, changes no mood.

Whether anything can be named is hidden too, and has two states and the same filter: a frame's
odds for it are those of its likeliest label over those of the threshold, and a frame that cannot
be read is against it. The probability of a label is the product of the two beliefs; one under the
threshold is `unknown`.

`edgefer dev mood` measures what comes of it; the constants were chosen by that on PublicTest and
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

CORRELATION = 0.04
"""Seconds; at 30 frames a second each counts a little over half a reading."""
OUTLIERS = 0.03
"""Share of readings that may be about anything."""
UNREADABLE = 0.1
"""Odds of a frame that cannot be read for a label that can be named."""
INERTIA, KNOWN_INERTIA = 1.5, 0.7
"""How much more the evidence of what is believed counts at most: of a label, and of whether there
is one; 0 would be the plain filter."""
UNKNOWN_PRIOR = 0.15
"""Share of the time in which a face is expected to show nothing that can be named."""
REASON_SECONDS = 0.5
"""For which a reason must not be given before another is reported."""


class MoodSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mood]` table."""

    prior: Annotated[float, Meta(ge=0.01, le=0.99)] = 0.5
    """Share of faces that are expected to be neutral; the other labels share the rest."""
    seconds: Annotated[float, Meta(ge=0.1, le=600)] = 5.0
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
        self._prior = expected(labels, settings.prior)
        self._belief, self._unknown = self._prior, UNKNOWN_PRIOR
        self._time: float | None = None
        self._was_read = False
        self._reason, self._given = UNSURE, -math.inf

    @property
    def label(self) -> str:
        """The label that is reported now: none whose probability is under the threshold."""
        reaches = self._was_read and self.confidence >= self.threshold
        return self._labels[int(self._belief.argmax())] if reaches else UNKNOWN

    @property
    def reason(self) -> str | None:
        """Why the label is `unknown`, one of `messages.REASONS`; None when it is not."""
        return self._reason if self.label == UNKNOWN else None

    @property
    def confidence(self) -> float:
        """Probability of the likeliest label, 0..1; 0 before the face was read."""
        return float(self._belief.max()) * (1 - self._unknown) if self._was_read else 0.0

    def update(self, probabilities: NDArray[np.floating], time: float) -> None:
        """Take one frame's calibrated probabilities (labels,) and its time in seconds."""
        if self._baseline is not None:
            probabilities = self._baseline.correct(probabilities, time)
        shares = np.asarray(probabilities, np.float64) * (1 - OUTLIERS)
        shares += OUTLIERS / len(self._labels)
        best = float(shares.max())
        self._carry(shares, best / (1 - best) / self.threshold * (1 - self.threshold), time)
        self._was_read = True
        self._explain(UNSURE, time)

    def miss(self, reason: str, time: float) -> None:
        """Take a frame in which the face could not be read, and why."""
        self._carry(np.ones(len(self._labels)), UNREADABLE, time)
        self._explain(reason, time)

    def _explain(self, reason: str, time: float) -> None:
        """Take what would be the reason; while it is reported one holds, lest two alternate."""
        held = self.label == UNKNOWN and time - self._given < REASON_SECONDS
        if reason == self._reason or not held:
            self._reason, self._given = reason, time

    def _carry(self, evidence: NDArray[np.float64], odds: float, time: float) -> None:
        """Carry the beliefs to a frame with its evidence (labels,) and odds of a label at all."""
        label, named, unknown = evidence, odds, 1.0
        weight = 1.0
        if self._time is not None:
            passed = max(0.0, time - self._time)
            weight = 1 - math.exp(-passed / CORRELATION)
            changed = 1 - math.exp(-passed / self._seconds)
            self._belief = self._belief + changed * (self._prior - self._belief)
            self._unknown += changed * (UNKNOWN_PRIOR - self._unknown)
            label = evidence * (1 + INERTIA * self._belief)
            named *= 1 + KNOWN_INERTIA * (1 - self._unknown)
            unknown += KNOWN_INERTIA * self._unknown
        self._time = time
        belief = self._belief * label**weight
        self._belief = belief / belief.sum()
        shares = (1 - self._unknown) * named**weight, self._unknown * unknown**weight
        self._unknown = shares[1] / sum(shares)
