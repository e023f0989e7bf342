"""From a frame to a report: look, follow, read, judge; no thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from edgefer.messages import Face, Report
from edgefer_device.cameras.camera import Frame
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.motion import Motion
from edgefer_device.faces.quality import QualitySettings, fault
from edgefer_device.faces.tracker import Track, Tracker
from edgefer_device.mood.filter import Mood, MoodSettings
from edgefer_device.mood.household import Household
from edgefer_device.pipeline.face_classifier import Probabilities, Reader
from edgefer_device.system.clock import Clock

GAP_SECONDS = 2.0
"""Between two frames: after a longer one, whoever stands there may be somebody else."""


class Analyst:
    """Keeps what must be remembered from frame to frame: the tracks and their moods."""

    def __init__(  # noqa: PLR0913 - the parts of the whole, each with a seam of its own
        self,
        detector: FaceDetector,
        reader: Reader,
        tracker: Tracker,
        mood: MoodSettings,
        household: Household | None = None,
        *,
        quality: QualitySettings | None = None,
        threshold: Callable[[], float | None] = lambda: None,
        took: Callable[[float], None] = lambda seconds: None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """`threshold` goes before the settings'; `took` is told how many seconds each look took."""
        self._detector, self._reader, self._tracker = detector, reader, tracker
        self._settings, self._household = mood, household
        self._quality = quality or QualitySettings()
        self._threshold, self._took, self._clock = threshold, took, clock
        self._motion = Motion()
        self._last = 0.0
        self._moods: dict[int, Mood] = {}
        self._rows: dict[int, Probabilities] = {}

    @property
    def doubt(self) -> bool:
        """Whether something is followed that may be a face: it wants a closer look."""
        return self._tracker.doubt

    def look(self, frame: Frame) -> Report:
        """Return what a frame shows; frames come in order."""
        begun = self._clock()
        self._follow(frame)
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
            reason=first.reason if first else None,
        )
        self._took(self._clock() - begun)
        return report if self._household is None else self._household.over(report)

    def _follow(self, frame: Frame) -> None:
        """Look for faces, if it is time to."""
        if frame.time - self._last > GAP_SECONDS:
            self._tracker.forget()
        self._last = frame.time
        moved = self._motion.moved(frame.picture)
        if self._tracker.wants_detection(frame.time, moved):
            self._tracker.update(self._detector.detect(frame.picture), frame.time)
            self._motion.mark()

    def _read(self, frame: Frame, tracks: list[Track]) -> None:
        """Read the faces that are seen: where one is missed, the box may hold anything."""
        if not tracks:
            return
        settings = self._settings.with_threshold(self._threshold())
        chips = self._reader.chips(frame.picture, [track.box for track in tracks])
        legible = []
        for track, chip in zip(tracks, chips, strict=True):
            mood = self._moods.setdefault(track.number, Mood(self._reader.labels, settings))
            mood.settings = settings
            reason = fault(chip, track.box.width, track.turn, self._quality)
            if reason is None:
                legible.append((track.number, chip))
            else:
                mood.miss(reason, frame.time)
                self._rows.pop(track.number, None)
        rows = self._reader.read([chip for _, chip in legible])
        for (number, _), row in zip(legible, rows, strict=True):
            self._moods[number].update(row, frame.time)
            self._rows[number] = np.asarray(row, np.float32)

    def _forget(self, alive: set[int]) -> None:
        for number in self._moods.keys() - alive:
            del self._moods[number]
            self._rows.pop(number, None)

    def _face(self, track: Track) -> Face:
        mood, row = self._moods[track.number], self._rows.get(track.number)
        named = {} if row is None else self._reader.named(row)
        return Face(track.number, track.box, track.score, mood.label, named, mood.reason)
