"""From a frame to a report: look, follow, read, judge; no thread and no clock of its own."""

from __future__ import annotations

import numpy as np

from edgefer.messages import Face, Report
from edgefer_device.camera import Frame
from edgefer_device.faces import FaceDetector
from edgefer_device.household import Household
from edgefer_device.mood import Mood, MoodSettings
from edgefer_device.reading import Probabilities, Reader
from edgefer_device.tracker import Track, Tracker


class Analyst:
    """Keeps what must be remembered from frame to frame: the tracks and their moods."""

    def __init__(
        self,
        detector: FaceDetector,
        reader: Reader,
        tracker: Tracker,
        mood: MoodSettings,
        household: Household | None = None,
    ) -> None:
        self._detector, self._reader, self._tracker = detector, reader, tracker
        self._settings, self._household = mood, household
        self._moods: dict[int, Mood] = {}
        self._rows: dict[int, Probabilities] = {}

    def look(self, frame: Frame) -> Report:
        """Return what a frame shows; frames come in order."""
        if self._tracker.wants_detection(frame.time):
            self._tracker.update(self._detector.detect(frame.picture), frame.time)
        tracks = self._tracker.tracks
        self._forget({track.number for track in tracks})
        self._read(frame, [track for track in tracks if not track.missed])
        first = self._moods[tracks[0].number] if tracks else None
        report = Report(
            time=frame.time,
            frame=frame.number,
            faces=tuple(map(self._face, tracks)),
            mood=first.label if first else None,
            confidence=first.confidence if first else None,
        )
        return report if self._household is None else self._household.over(report)

    def _read(self, frame: Frame, tracks: list[Track]) -> None:
        """Read the faces that are seen: where one is missed, the box may hold anything."""
        rows = self._reader.read(frame.picture, [track.box for track in tracks])
        for track, row in zip(tracks, rows, strict=True):
            if track.number not in self._moods:
                self._moods[track.number] = Mood(self._reader.labels, self._settings)
            self._moods[track.number].update(row, frame.time)
            self._rows[track.number] = np.asarray(row, np.float32)

    def _forget(self, alive: set[int]) -> None:
        for number in self._moods.keys() - alive:
            del self._moods[number], self._rows[number]

    def _face(self, track: Track) -> Face:
        number = track.number
        probabilities = self._reader.named(self._rows[number])
        return Face(number, track.box, track.score, self._moods[number].label, probabilities)
