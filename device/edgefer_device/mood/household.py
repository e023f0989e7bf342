"""The mood of everybody in view together."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.labels import UNKNOWN
from edgefer.messages import UNSURE, Report
from edgefer_device.mood.filter import Mood, MoodSettings

FULL_SECONDS = 5.0
"""In view, after which a face has its full weight: who passes by changes little."""
PLURALITY = 0.4
"""Probability that the household's mood needs: two moods shown alike both reach it."""


class Household:
    """Replaces the mood of the largest face by that of all faces in view.

    Each face votes for the label that is reported of it, with the weight of its box's area times
    the seconds for which it has been in view; one that is `unknown` abstains. The shares of the
    votes go through the filter as a face's readings do, so that the household changes as calmly.
    """

    def __init__(self, labels: tuple[str, ...], settings: MoodSettings) -> None:
        self._labels = labels
        self._settings = msgspec.structs.replace(settings, baseline=False)
        self._since: dict[int, float] = {}
        self._mood: Mood | None = None

    def apply(self, report: Report) -> Report:
        """Return the report with the household's mood; reports come in order."""
        self._since = {
            face.track: self._since.get(face.track, report.time) for face in report.faces
        }
        if len(report.faces) < 2:
            # One face was filtered already; again would only be late.
            self._mood = None
            return report
        mood = self._mood = self._mood or Mood(self._labels, self._settings, PLURALITY)
        votes = self._votes(report)
        if votes.any():
            mood.update(votes / votes.sum(), report.time)
        else:
            why = next((face.reason for face in report.faces if face.reason), UNSURE)
            mood.miss(why, report.time)
        return msgspec.structs.replace(
            report, mood=mood.label, confidence=mood.confidence, reason=mood.reason
        )

    def _votes(self, report: Report) -> NDArray[np.float64]:
        """Return the weight of the faces that show each label (labels,)."""
        votes = np.zeros(len(self._labels))
        for face in report.faces:
            if face.label != UNKNOWN:
                seen = report.time - self._since[face.track]
                # A frame's worth, lest those who came together have no weight at first.
                weight = min(max(seen, 0.03), FULL_SECONDS)
                votes[self._labels.index(face.label)] += weight * face.box.area
        return votes
