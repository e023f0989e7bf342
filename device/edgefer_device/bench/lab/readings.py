"""What a model reads of faces over time: in clips, and in sequences drawn from single images.

A drawn sequence is the reading of a face of FER2013, held or blended into that of another, plus the
frame-to-frame noise of real clips. That noise is not modelled but recorded. A clip's
log-probabilities (floored at 1e-4) are cut where the label that leads their mean over half a second
changes; of each part of a second or more its own mean is taken away, and what is left is played to
and fro from a random moment. So it keeps its size, its correlation from frame to frame (0.7 to 0.9
at 33 ms, about none at 300 ms) and that between labels. What a person really did while one label
led counts as noise too: the figures err to the restless side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefer.console import track
from edgefer.errors import DatasetError
from edgefer.files import files_in
from edgefer.labels import FER2013
from edgefer.metrics import softmax
from edgefer.preprocess import Pixels
from edgefer_device.bench.labelled_faces import LabelledFaces
from edgefer_device.cameras.opening import open_camera
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer

Logs = NDArray[np.float64]
"""(frames, labels), logarithms of probabilities."""

VIDEOS = (".mkv", ".mov", ".mp4")
FRAME = 1 / 30
"""Seconds between frames of a drawn sequence: the clips' own."""
FLOOR, AROUND, LEAST = 1e-4, 15, 30
"""Least probability in a logarithm; frames that label a moment, and of the shortest part."""


class Reading(NamedTuple):
    """One frame of the first face of a clip."""

    time: float
    """Seconds."""
    probabilities: dict[str, float]
    """By label; empty where the face was not legible."""
    reason: str | None


class MirroredInTurn(FaceClassifier):
    """Mirrors the faces of every second frame."""

    _odd = False

    def read(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        """Return the probabilities of faces, each uint8 (size, size)."""
        self._odd = not self._odd
        step = -1 if self._odd else 1
        return super().read([np.ascontiguousarray(crop[:, ::step]) for crop in crops])

    def alike(self, one: Pixels, other: Pixels) -> bool:
        """Every frame is read, lest it were no longer every second one that is mirrored."""
        return False


def read_clip(path: Path, classifier: FaceClassifier) -> list[Reading]:
    """Return the readings of a clip's frames with a face; raise `CameraError` for no clip."""
    settings = Config()
    detector, tracker = open_detector(settings.detector), Tracker(settings.tracking)
    analyzer = FrameAnalyzer(detector, classifier, tracker, settings.mood, quality=settings.quality)
    readings = []
    with closing(open_camera(f"file:{path}")) as camera:
        for frame in camera.frames():
            faces = analyzer.process(frame).faces
            # A missed face is not read and keeps its last probabilities.
            if faces and not tracker.tracks[0].missed:
                readings.append(Reading(frame.time, faces[0].probabilities, faces[0].reason))
    return readings


def read_clips(
    folder: Path, more: Sequence[Path], classifier: FaceClassifier
) -> dict[str, list[Reading]]:
    """Return the readings of the clips in a dataset's `clips`, and of more, by name.

    Raises `DatasetError` where none shows a face for a second, and `CameraError` for no clip.
    """
    clips = folder / "clips"
    own = [path for path in files_in(clips) if path.suffix in VIDEOS] if clips.is_dir() else []
    read = {one.name: read_clip(one, classifier) for one in track([*own, *more], "clips")}
    if not any(next(parts_of(rows, classifier.labels), None) for rows in read.values()):
        raise DatasetError(f"{clips}: no clip shows a face for a second")
    return read


def parts_of(readings: Sequence[Reading], labels: tuple[str, ...]) -> Iterator[tuple[int, Logs]]:
    """Yield the parts of a clip in which one label leads, with its index; see the module."""
    rows = [[seen.probabilities[label] for label in labels] for seen in readings if seen[1]]
    if len(rows) < LEAST:
        return
    logs = np.log(np.maximum(np.array(rows, np.float64), FLOOR))
    ends = np.clip(np.arange(len(logs))[:, None] + [-(AROUND // 2), AROUND // 2 + 1], 0, len(logs))
    leads = np.array([logs[start:end].mean(0).argmax() for start, end in ends])
    cuts = [0, *np.flatnonzero(np.diff(leads)) + 1, len(logs)]
    for start, end in pairwise(cuts):
        if end - start >= LEAST:
            yield int(leads[start]), logs[start:end]


def noise_of(
    readings: Sequence[Reading], labels: tuple[str, ...], phases: int = 1
) -> Iterator[Logs]:
    """Yield the noise of each part of a clip in which one label leads; see the module.

    With two phases each of every second frame has a mean of its own: mirrored, and as it is.
    """
    for _, logs in parts_of(readings, labels):
        part = logs.copy()
        for phase in range(phases):
            part[phase::phases] -= part[phase::phases].mean(0)
        yield part


class DrawnFaces:
    """Draws sequences of readings, always the same ones for a seed."""

    def __init__(
        self,
        faces: LabelledFaces,
        classifier: FaceClassifier,
        noise: Sequence[Logs],
        seed: int,
        phases: int = 1,
    ) -> None:
        """Classify the faces, each in so many phases; `noise` is that of the clips."""
        crops = classifier.resized(faces.images)
        read = np.stack([[classifier.read([crop])[0] for _ in range(phases)] for crop in crops])
        self._logs = np.log(np.maximum(read.astype(np.float64), FLOOR))
        self._labels, self._noise = faces.labels, noise
        # Of their own, so that the same faces are drawn whatever the noise.
        self._random, self._noise_random = np.random.default_rng(seed).spawn(2)

    def pick(self, neutral: float | None) -> int:
        """Return a face's row: any, or a neutral one with this probability, else another."""
        if neutral is None:
            return int(self._random.integers(len(self._labels)))
        is_neutral = self._labels == FER2013.index("neutral")
        wanted = is_neutral if self._random.random() < neutral else ~is_neutral
        return int(self._random.choice(np.flatnonzero(wanted)))

    @property
    def logs(self) -> Logs:
        """Log-probabilities (faces, labels) without noise."""
        return np.asarray(self._logs.mean(1))

    def pick_of(self, label: int | None = None) -> int:
        """Return the row of any face, or of one of a label."""
        rows = np.arange(len(self._labels))
        return int(self._random.choice(rows if label is None else rows[self._labels == label]))

    def label(self, row: int) -> str:
        """Return the dataset's label of a face."""
        return FER2013[self._labels[row]]

    def reading(self, row: int) -> NDArray[np.float32]:
        """Return a face's probabilities (labels,) without noise."""
        return softmax(self._logs[row].mean(0).astype(np.float32))

    def held(self, row: int, seconds: float) -> NDArray[np.float32]:
        """Return the probabilities (frames, labels) of a face that does not change."""
        frames = round(seconds / FRAME)
        return softmax((self._still(row, frames) + self._play(frames)).astype(np.float32))

    def blended(self, rows: tuple[int, int], seconds: float, blend: float) -> NDArray[np.float32]:
        """Return those of a face that becomes another in the middle, over `blend` seconds."""
        frames = round(seconds / FRAME)
        share = np.clip((np.arange(frames) - frames // 2) * FRAME / blend + 0.5, 0, 1)[:, None]
        first, second = (self._still(row, frames) for row in rows)
        return softmax((first + share * (second - first) + self._play(frames)).astype(np.float32))

    def _still(self, row: int, frames: int) -> Logs:
        return np.resize(self._logs[row], (frames, self._logs.shape[2]))

    def _play(self, frames: int) -> Logs:
        """Return so many frames of one clip's noise, to and fro from a random moment."""
        part = self._noise[int(self._noise_random.integers(len(self._noise)))]
        round_trip = np.concatenate([part, part[-2:0:-1]])
        start = int(self._noise_random.integers(len(round_trip)))
        return np.take(round_trip, start + np.arange(frames), axis=0, mode="wrap")
