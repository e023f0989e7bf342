"""Scripted doubles of the camera, the detector and the classifier, and a sink that records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from edgefer.messages import Detection, Report
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.pipeline.sink import Sink


class ScriptedCamera:
    """Gives the frames it was given, then ends, or raises `end`; remembers being closed."""

    def __init__(
        self, frames: Iterable[Frame], live: bool = False, end: Exception | None = None
    ) -> None:
        self.live = live
        self.closed = False
        self._frames, self._end = frames, end

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the script's frames until `close`."""
        for frame in self._frames:
            if self.closed:
                return
            if due(frame.time):
                yield frame
        if self._end is not None:
            raise self._end

    def close(self) -> None:
        """End the frames; again is allowed."""
        self.closed = True


def blank_frames(count: int, rate: float = 10.0) -> Iterator[Frame]:
    """Yield frames (120, 160, 3) at a rate in frames a second of their own clock.

    All show the same grain on middle grey: nothing to see, but bright and sharp enough to read.
    """
    image = np.random.default_rng(0).integers(64, 192, (120, 160, 3), np.uint8)
    for number in range(count):
        yield Frame(image, number / rate, number)


class ScriptedDetector(FaceDetector):
    """Gives one list of faces a call, the last one for ever; counts its calls."""

    def __init__(self, script: Sequence[Sequence[Detection]]) -> None:
        self._script = [list(faces) for faces in script]
        self.calls = 0

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the next list of the script, whatever the frame."""
        self.calls += 1
        if not self._script:
            return []
        return self._script[min(self.calls, len(self._script)) - 1]


class ScriptedClassifier:
    """Gives one row of probabilities a call, the last one for ever; keeps the face crops it saw."""

    def __init__(self, script: Sequence[Sequence[float]]) -> None:
        self._script = np.asarray(script, np.float32)
        self.crops: list[Pixels] = []

    def logits(self, crops: Pixels) -> Logits:
        """Return the log of the script's next row for every face crop (N, size, size)."""
        row = self._script[min(len(self.crops), len(self._script) - 1)]
        self.crops.append(crops)
        logits = np.log(np.maximum(row, np.float32(1e-6)))
        return np.repeat(logits[np.newaxis], len(crops), axis=0)


class EveryFrame(FaceClassifier):
    """Reads a face anew in every frame, as the page does."""

    def alike(self, one: Pixels, other: Pixels) -> bool:
        return False


class RecordingSink(Sink):
    """A sink that keeps what it is given in `reports`."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    async def publish(self, report: Report) -> None:
        """Keep the report."""
        self.reports.append(report)
