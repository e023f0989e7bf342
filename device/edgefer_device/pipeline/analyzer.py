"""From a frame to a report: detect, track, classify, filter; no thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

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
        self._rows: dict[int, Probabilities] = {}

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
        first = self._moods[tracks[0].number] if tracks else None
        report = Report(
            time=frame.time,
            frame=frame.number,
            faces=tuple(map(self._face, tracks)),
            mood=first.label if first else None,
            confidence=first.confidence if first else None,
            reason=first.reason if first else None,
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
        legible = []
        for track, crop in zip(tracks, crops, strict=True):
            mood = self._moods.get(track.number)
            if mood is None:
                labels = self._classifier.labels
                mood = self._moods[track.number] = Mood(labels, self._settings, threshold)
            mood.threshold = threshold
            reason = rejection_reason(crop, track.box.width, track.turn, self._quality)
            if reason is None:
                legible.append((track.number, crop))
            else:
                mood.miss(reason, frame.time)
                self._rows.pop(track.number, None)
        rows = self._classifier.read([crop for _, crop in legible])
        for (number, _), row in zip(legible, rows, strict=True):
            self._moods[number].update(row, frame.time)
            self._rows[number] = np.asarray(row, np.float32)

    def _forget(self, alive: set[int]) -> None:
        for number in self._moods.keys() - alive:
            del self._moods[number]
            self._rows.pop(number, None)

    def _face(self, track: Track) -> Face:
        mood, row = self._moods[track.number], self._rows.get(track.number)
        by_label = {} if row is None else self._classifier.by_label(row)
        return Face(track.number, track.box, track.score, mood.label, by_label, mood.reason)
