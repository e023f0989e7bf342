"""From a frame to a report: detect, track, classify, filter; no thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import Bundle
from edgefer.heads import Decoder
from edgefer.labels import BOTH
from edgefer.manifest import Manifest
from edgefer.messages import Box, Face, Report
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier, choose, open_classifier
from edgefer_device.cameras.camera import Frame
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.motion import Motion
from edgefer_device.faces.quality import QualitySettings, lightened, rejection_reason
from edgefer_device.faces.tracker import Track, Tracker
from edgefer_device.mood.filter import Mood, MoodSettings
from edgefer_device.mood.household import Household
from edgefer_device.system.clock import Clock

Probabilities = NDArray[np.float32]
"""(faces, labels), calibrated; rows sum to 1."""

Kind = TypeVar("Kind", bound="FaceClassifier")

GAP_SECONDS = 2.0
"""Gap between two frames after which a face may be somebody else's; as when time begins again."""
HELD_SECONDS = 0.2
"""For which a face that has not changed keeps its reading at most."""
LEVELS, PARTS = 6.0, 6
"""Mean grey levels by which none of so many parts of a crop across and down, each about an eye's
size, may differ from the crop that was read. With a mean over the whole crop in place of the parts
fewer are kept, and those differ more."""


class Reading(NamedTuple):
    """What was last read of a face, and of what."""

    row: Probabilities
    """(labels,)"""
    crop: Pixels
    """(size, size)"""
    time: float
    """Seconds; `seen` is the track's then: its box is the same until the next detection."""
    seen: float


class FaceClassifier:
    """Crops faces and returns their calibrated probabilities, as the manifest says."""

    def __init__(self, classifier: Classifier, manifest: Manifest, decoder: Decoder) -> None:
        """`decoder` is the manifest's for the label set and the classifier's format."""
        self._classifier, self._manifest, self.decoder = classifier, manifest, decoder

    @classmethod
    def open(cls: type[Kind], bundle: Bundle, labels: str = BOTH) -> Kind:
        """Open a bundle's first format; raises what `open_classifier` and `decoder` raise."""
        format, manifest = choose(bundle, None), bundle.manifest
        return cls(open_classifier(bundle, format), manifest, manifest.decoder(labels, format))

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.decoder.labels

    @property
    def threshold(self) -> float:
        """Probability from which on a label is reported, unless it is configured."""
        return self.decoder.calibration.threshold

    def crop(self, image: Pixels, boxes: Sequence[Box]) -> list[Pixels]:
        """Cut the faces at `boxes` out of a BGR frame (H, W, 3), as the model sees them."""
        return [self._manifest.input.preprocess.crop(image, box) for box in boxes]

    def resized(self, faces: Pixels) -> list[Pixels]:
        """Bring grey faces (N, H, W) that were cut out already to what the model sees."""
        return [self._manifest.input.preprocess.resize(face) for face in faces]

    def read(self, crops: Sequence[Pixels]) -> Probabilities:
        """Return the probabilities of faces, each uint8 (size, size)."""
        if not crops:
            return np.empty((0, len(self.labels)), np.float32)
        return self.decoder.probabilities(
            self._classifier.logits(np.stack(list(map(lightened, crops))))
        )

    def alike(self, one: Pixels, other: Pixels) -> bool:
        """Whether two crops (size, size) show the same, so that one reading serves for both."""
        changes = cv2.absdiff(lightened(one), lightened(other))
        parts = cv2.resize(changes, (PARTS, PARTS), interpolation=cv2.INTER_AREA)
        return cv2.minMaxLoc(parts)[1] < LEVELS

    def by_label(self, row: NDArray[np.floating]) -> dict[str, float]:
        """Return one face's probabilities by label."""
        return dict(zip(self.labels, map(float, row), strict=True))


class FrameAnalyzer:
    """Turns frames into reports; keeps the tracks and their moods from frame to frame."""

    def __init__(  # noqa: PLR0913 - the parts of the whole, each with a seam of its own
        self,
        detector: FaceDetector,
        classifier: FaceClassifier,
        tracker: Tracker,
        mood: MoodSettings,
        household: Household | None = None,
        *,
        quality: QualitySettings | None = None,
        threshold: Callable[[], float | None] = lambda: None,
        on_latency: Callable[[float], None] = lambda seconds: None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """`threshold` goes before the settings', and theirs before the model's; `on_latency`
        receives each frame's seconds of analysis."""
        self._detector, self._classifier, self._tracker = detector, classifier, tracker
        self._settings, self._household = mood, household
        self._quality = quality or QualitySettings()
        self._threshold, self._on_latency, self._clock = threshold, on_latency, clock
        self._motion = Motion()
        self._last = 0.0
        self._moods: dict[int, Mood] = {}
        self._readings: dict[int, Reading] = {}

    @property
    def has_unconfirmed(self) -> bool:
        """Whether something is tracked that may be a face, and wants a closer look."""
        return self._tracker.has_unconfirmed

    def process(self, frame: Frame) -> Report:
        """Return what a frame shows; frames come in order."""
        begun = self._clock()
        self._follow(frame)
        tracks = self._tracker.tracks
        self._forget({track.number for track in tracks})
        self._read(frame, [track for track in tracks if not track.missed])
        faces = tuple(map(self._face, tracks))
        report = Report(
            time=frame.time,
            frame=frame.number,
            faces=faces,
            mood=faces[0].label if faces else None,
            confidence=self._moods[faces[0].track].confidence if faces else None,
            reason=faces[0].reason if faces else None,
            still=tuple(track.box for track in self._tracker.still),
        )
        self._on_latency(self._clock() - begun)
        return report if self._household is None else self._household.apply(report)

    def _follow(self, frame: Frame) -> None:
        """Look for faces, if it is time to."""
        if not 0 <= frame.time - self._last <= GAP_SECONDS:
            self._tracker.reset()
        self._last = frame.time
        wants, known = self._tracker.wants_detection, self._tracker.boxes(frame.time)
        # Motion is measured only where it decides.
        if wants(frame.time) and wants(frame.time, self._motion.moved(frame.image, known)):
            search = self._tracker.wants_search(frame.time)
            found = self._detector.watch(frame.image, known, search)
            self._tracker.update(found, frame.time, search)
            self._motion.mark()

    def _read(self, frame: Frame, tracks: list[Track]) -> None:
        """Read the faces that are seen: where one is missed, the box may hold anything."""
        if not tracks:
            return
        threshold = self._threshold() or self._settings.threshold or self._classifier.threshold
        crops = self._classifier.crop(frame.image, [track.box for track in tracks])
        fresh = []
        for track, crop in zip(tracks, crops, strict=True):
            mood = self._mood(track.number, threshold)
            held = self._held(track, crop, frame.time)
            if held is not None:
                mood.update(held.row, frame.time)
            elif why := rejection_reason(crop, track.box.width, track.turn, self._quality):
                mood.miss(why, frame.time)
                self._readings.pop(track.number, None)
            else:
                fresh.append((track, crop))
        rows = self._classifier.read([crop for _, crop in fresh])
        for (track, crop), row in zip(fresh, rows, strict=True):
            reading = Reading(np.asarray(row, np.float32), crop, frame.time, track.seen)
            self._readings[track.number] = reading
            self._moods[track.number].update(reading.row, frame.time)

    def _mood(self, number: int, threshold: float) -> Mood:
        """Return a track's mood, which begins with it, its threshold set."""
        mood = self._moods.get(number)
        if mood is None:
            labels = self._classifier.labels
            mood = self._moods[number] = Mood(labels, self._settings, threshold)
        mood.threshold = threshold
        return mood

    def _held(self, track: Track, crop: Pixels, time: float) -> Reading | None:
        """Return a face's last reading, if it shows now what it showed then."""
        last = self._readings.get(track.number)
        if last is None or last.seen != track.seen or time - last.time > HELD_SECONDS:
            return None
        return last if self._classifier.alike(crop, last.crop) else None

    def _forget(self, alive: set[int]) -> None:
        for number in self._moods.keys() - alive:
            del self._moods[number]
            self._readings.pop(number, None)

    def _face(self, track: Track) -> Face:
        mood, reading = self._moods[track.number], self._readings.get(track.number)
        by_label = {} if reading is None else self._classifier.by_label(reading.row)
        return Face(track.number, track.box, track.score, mood.label, by_label, mood.reason)
