"""Each stage of the analysis by itself: the daemon's own analyst, its parts under a watch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

from edgefer.errors import CameraError
from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels
from edgefer_device.bench.components import Parts
from edgefer_device.bench.loops import Series, Thing, TurnClock
from edgefer_device.bench.source import Source
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.pipeline.analyzer import FaceClassifier, Probabilities

STAGE = "stage: "
"""How the names of parts of a frame begin."""


class TimedDetector:
    """A detector whose every call is noted."""

    def __init__(self, detector: FaceDetector, series: Series) -> None:
        self._detector, self._series = detector, series

    def detect(self, picture: Pixels) -> list[Detection]:
        """Return what the detector does."""
        with self._series:
            return self._detector.detect(picture)


class TimedClassifier(FaceClassifier):
    """A reader whose cutting and classifying are noted."""

    def __init__(self, parts: Parts, cut: Series, classify: Series) -> None:
        super().__init__(parts.classifier, parts.bundle.manifest)
        self._cut, self._classify = cut, classify

    def crop(self, picture: Pixels, boxes: Sequence[Box]) -> list[Pixels]:
        """Cut faces out."""
        with self._cut:
            return super().crop(picture, boxes)

    def read(self, crops: Sequence[Pixels]) -> Probabilities:
        """Classify faces; where all are illegible there is nothing to time."""
        if not crops:
            return super().read(crops)
        with self._classify:
            return super().read(crops)


class Stages:
    """The watches of one run, one after the other in a frame's way."""

    def __init__(self, turn: TurnClock) -> None:
        self.camera = Series(f"{STAGE}next picture", turn)
        self.detect = Series(f"{STAGE}find faces", turn)
        self.cut = Series(f"{STAGE}cut faces", turn)
        self.classify = Series(f"{STAGE}classify", turn)
        self.rest = Series(f"{STAGE}track and judge", turn)
        self.whole = Series("all stages, a frame", turn)

    @property
    def all(self) -> tuple[Series, ...]:
        """Every watch, the sum of the stages last."""
        return self.camera, self.detect, self.cut, self.classify, self.rest, self.whole

    def begin(self) -> None:
        """Forget the frame before: not every stage has work in every frame."""
        for one in self.all:
            one.latest = (0.0, 0.0)

    def end(self, wall: float, cpu: float) -> None:
        """Take the analysis of a frame, seconds, which is shared out among the stages."""
        inner = [one.latest for one in (self.detect, self.cut, self.classify)]
        self.rest.note(wall - sum(one[0] for one in inner), cpu - sum(one[1] for one in inner))
        seen = self.camera.latest
        self.whole.note(wall + seen[0], cpu + seen[1])


def staged(parts: Parts, source: Source) -> Thing:
    """Return the stages of each frame in one thread; a live camera's includes waiting for it.

    Running it raises `CameraError` where pictures end.
    """
    return Thing("stages", lambda turn: _run(parts, source, turn))


def _run(parts: Parts, source: Source, turn: TurnClock) -> Iterable[Series]:
    with closing(source.open()) as camera:
        stages, whole = Stages(turn), Series("look", turn)
        detector = TimedDetector(parts.detector, stages.detect)
        analyzer = parts.analyzer(detector, TimedClassifier(parts, stages.cut, stages.classify))
        frames = camera.frames()
        while not turn.done:
            stages.begin()
            with stages.camera:
                frame = next(frames, None)
            if frame is None:
                raise CameraError(f"{source.name}: its pictures ended before the bench did")
            with whole:
                analyzer.process(frame)
            stages.end(*whole.latest)
            turn.ended()
    return stages.all
