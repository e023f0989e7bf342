"""The mood of everybody in view together, slow to change as each face's own is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from edgefer.labels import UNKNOWN
from edgefer.messages import UNSURE, Face, Report
from edgefer_device.mood.filter import Dwell

DWELL_SECONDS = 1.0
"""For how long a change must be wanted before it is made: people come and go one by one."""


class Household:
    """Replaces the mood of the nearest face by the one that most faces show.

    Each face has one vote, that of its smoothed label; a face that is `unknown` abstains,
    and where votes are equal the mood that holds stays, else the larger face decides. The
    confidence is the mean of the voters' probabilities of that mood in this frame.
    """

    def __init__(self, dwell: float = DWELL_SECONDS) -> None:
        self._dwell = dwell
        self._mood: Dwell[str] | None = None

    def apply(self, report: Report) -> Report:
        """Return the report with the household's mood; reports come in order."""
        if len(report.faces) < 2:
            # One face was smoothed already; waiting again would only be late.
            self._mood = None if report.mood is None else Dwell(report.mood)
            return report
        wanted = vote(report.faces, self._mood.value if self._mood else None)
        self._mood = self._mood or Dwell(wanted)
        self._mood.request(wanted, report.time, self._dwell)
        mood = self._mood.value
        # Faces that cannot be read have no vote; where all are such, the largest gives the reason.
        why = next((face.reason for face in report.faces if face.reason), None)
        return msgspec.structs.replace(
            report,
            mood=mood,
            confidence=confidence(report.faces, mood),
            reason=why or UNSURE if mood == UNKNOWN else None,
        )


def vote(faces: Sequence[Face], held: str | None = None) -> str:
    """Return the label that most faces show; `unknown` when each of them is."""
    votes = Counter(face.label for face in faces if face.label != UNKNOWN)
    if not votes:
        return UNKNOWN
    most = max(votes.values())
    leading = [label for label, count in votes.items() if count == most]
    if held in leading:
        return str(held)
    largest_first = sorted(faces, key=lambda face: face.box.area, reverse=True)
    return next(face.label for face in largest_first if face.label in leading)


def confidence(faces: Sequence[Face], mood: str) -> float:
    """Return the mean probability of a mood over the faces that know it, 0..1.

    For `unknown`, which has no probability, the likeliest label of each face counts.
    """
    if mood == UNKNOWN:
        rows = [max(face.probabilities.values(), default=0.0) for face in faces]
    else:
        rows = [face.probabilities.get(mood, 0.0) for face in faces if face.label != UNKNOWN]
    return sum(rows) / len(rows) if rows else 0.0
