"""`edgefer dev mood`: how soon a mood follows a face, how calm it is, and how right.

The readings of real clips and of drawn sequences (`readings.py`) go through the daemon's mood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import open_bundle
from edgefer.console import track
from edgefer.labels import UNKNOWN
from edgefer.machine import machine
from edgefer.messages import UNSURE
from edgefer_device.bench.lab.readings import (
    FRAME,
    DrawnFaces,
    MirroredInTurn,
    Reading,
    noise_of,
    read_clips,
)
from edgefer_device.bench.labelled_faces import read_part
from edgefer_device.daemon.configuration import Config
from edgefer_device.mood.filter import Mood, MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier

HELD, SETTLED, BLEND = 10.0, 1.0, 0.2
"""Seconds for which a face is held, from which on it is judged, and of one becoming another."""
MIRROR = 0.6
"""Share of neutral faces in the second draw, as before a mirror."""
CLEAR = 0.6
"""Probability that both faces' labels need for the change between them to have a latency."""
TURN, LATE = 0.45, 3.0
"""Seconds that a clip's raw reading must last to count, and after which a change is missed."""


@dataclass(frozen=True, slots=True)
class MoodRequest:
    """What `edgefer dev mood` measures."""

    data: Path
    """Folder with FER2013 and `clips`."""
    clips: tuple[Path, ...] = ()
    """More clips."""
    model: str | None = None
    count: int = 300
    """Sequences of each draw."""
    seed: int = 1
    mirrored: bool = False
    """Whether the face crop of every second frame is mirrored."""


class ClipMood(msgspec.Struct, frozen=True):
    """The mood of a clip's first face."""

    clip: str
    seconds: float
    """With a face."""
    changes: int
    latencies: tuple[float, ...]
    """Seconds from each lasting turn of the raw reading until it is reported, at most `LATE`."""
    shares: dict[str, float]
    """Of the time by label, 0..1, largest first."""
    under: int
    """Reports of a label whose probability was under the threshold."""


class DrawnMood(msgspec.Struct, frozen=True):
    """Moods of sequences of drawn faces."""

    faces: str
    sequences: int
    flips: float
    """Changes a minute while the face is held."""
    wrong: float
    """Share of the frames with a label in which it is not the dataset's, 0..1."""
    unknown: float
    """Share of all frames, 0..1."""
    latency: float
    """Median seconds from the raw reading's turn until it is reported."""
    latency_90: float
    """That of all but the slowest tenth, at most `LATE`."""
    missed: float
    """Share of the changes not reported within `LATE`, 0..1."""
    under: int


class MoodDynamics(msgspec.Struct, frozen=True):
    """The JSON of `edgefer dev mood`."""

    machine: str
    model: str
    mirrored: bool
    clips: tuple[ClipMood, ...]
    drawn: tuple[DrawnMood, ...]


def measure(request: MoodRequest) -> MoodDynamics:
    """Measure the default mood; raises an `EdgeferError` for what cannot be read or opened."""
    cv2.setNumThreads(1)
    bundle = open_bundle(request.model or Config().model)
    kind, phases = (MirroredInTurn, 2) if request.mirrored else (FaceClassifier, 1)
    classifier = kind.open(bundle)
    read = read_clips(request.data, request.clips, classifier)
    bench = MoodBench(classifier.labels, Config().mood, classifier.threshold)
    noise = [part for rows in read.values() for part in noise_of(rows, classifier.labels, phases)]
    clips = tuple(bench.clip(name, rows) for name, rows in read.items() if rows)
    faces = read_part(request.data, "PublicTest")
    drawn = DrawnFaces(faces, classifier, noise, request.seed, phases)
    results = tuple(bench.drawn(drawn, request.count, share) for share in (None, MIRROR))
    return MoodDynamics(machine(), bundle.manifest.name, request.mirrored, clips, results)


class MoodBench:
    """Replays readings through a mood of its own each time."""

    def __init__(self, labels: tuple[str, ...], settings: MoodSettings, threshold: float) -> None:
        self._labels, self._settings, self._threshold = labels, settings, threshold

    def clip(self, name: str, rows: Sequence[Reading]) -> ClipMood:
        """Return the mood of a clip."""
        mood, told, under = self._mood(), [], 0
        for row in rows:
            if row.probabilities:
                mood.update(np.array(list(row.probabilities.values())), row.time)
            else:
                mood.miss(row.reason or UNSURE, row.time)
            told.append(mood.label)
            under += self._is_under(mood)
        raw = [max(row[1], key=row[1].__getitem__, default=UNKNOWN) for row in rows]
        times = [row.time for row in rows]
        shares = {label: count / len(told) for label, count in Counter(told).most_common()}
        lasting = latencies(raw, told, times)
        return ClipMood(name, times[-1] - times[0], changes(told), lasting, shares, under)

    def drawn(self, faces: DrawnFaces, count: int, neutral: float | None) -> DrawnMood:
        """Return the moods of so many faces, and of as many that become another."""
        flips = wrong = known = frames = under = 0
        took: list[float] = []
        for _ in track(range(count), "sequences"):
            one, other = faces.pick(neutral), faces.pick(neutral)
            told, low = self._replay(faces.held(one, HELD))
            told = told[round(SETTLED / FRAME) :]
            flips, frames, under = flips + changes(told), frames + len(told), under + low
            known += sum(label != UNKNOWN for label in told)
            wrong += sum(label not in (UNKNOWN, faces.label(one)) for label in told)
            took += self._change(faces, (one, other))
        return DrawnMood(
            faces="as in PublicTest" if neutral is None else f"{neutral:.0%} neutral",
            sequences=count,
            flips=flips / (frames * FRAME / 60),
            wrong=wrong / max(1, known),
            unknown=1 - known / frames,
            latency=float(np.median(took)) if took else 0.0,
            latency_90=float(np.quantile(took, 0.9)) if took else 0.0,
            missed=float(np.mean(np.array(took) >= LATE)) if took else 0.0,
            under=under,
        )

    def _change(self, faces: DrawnFaces, rows: tuple[int, int]) -> list[float]:
        """Return the latency of a face's change into another, where both are clear and differ."""
        readings = [faces.reading(row) for row in rows]
        first, second = (int(one.argmax()) for one in readings)
        if first == second or min(one.max() for one in readings) < CLEAR:
            return []
        sequence = faces.blended(rows, HELD, BLEND)
        middle = len(sequence) // 2 - round(BLEND / FRAME)
        told, _ = self._replay(sequence)
        turns = np.flatnonzero(sequence[middle:].argmax(1) == second)
        if not len(turns) or told[turn := middle + int(turns[0])] == self._labels[second]:
            return []
        late = (
            told[turn:].index(self._labels[second]) if self._labels[second] in told[turn:] else 1e9
        )
        return [min(late * FRAME, LATE)]

    def _replay(self, sequence: NDArray[np.float32]) -> tuple[list[str], int]:
        """Return what is reported of each frame, and how often under the threshold."""
        mood, told, under = self._mood(), [], 0
        for frame, row in enumerate(sequence):
            mood.update(row, frame * FRAME)
            told.append(mood.label)
            under += self._is_under(mood)
        return told, under

    def _mood(self) -> Mood:
        return Mood(self._labels, self._settings, self._threshold)

    def _is_under(self, mood: Mood) -> bool:
        return mood.label != UNKNOWN and mood.confidence < self._threshold


def changes(told: Sequence[str]) -> int:
    """Return how often a label differs from the one before."""
    return sum(1 for _ in groupby(told)) - 1


def latencies(raw: Sequence[str], told: Sequence[str], times: Sequence[float]) -> tuple[float, ...]:
    """Return the seconds from each lasting turn of a raw reading until it was reported."""
    found, start = [], 0
    for label, run in groupby(raw):
        end = start + len(list(run))
        lasts = times[end - 1] - times[start] >= TURN
        if start and lasts and UNKNOWN != label != told[start - 1]:
            hits = [
                time for time, one in zip(times[start:], told[start:], strict=True) if one == label
            ]
            found.append(min(hits[0] - times[start] if hits else LATE, LATE))
        start = end
    return tuple(found)


def describe(result: MoodDynamics) -> Iterator[str]:
    """Yield the tables, line by line."""
    mirrored = ", every second face crop mirrored" if result.mirrored else ""
    yield f"{result.model}{mirrored}, on {result.machine}"
    yield f"{'clip':<18} {'seconds':>7} {'changes':>7} {'under':>5}  {'latencies, s':<18} reported"
    for one in result.clips:
        took = " ".join(f"{second:.2f}" for second in one.latencies) or "-"
        shares = ", ".join(f"{label} {100 * share:.1f} %" for label, share in one.shares.items())
        figures = f"{one.seconds:>7.1f} {one.changes:>7} {one.under:>5}  {took:<18}"
        yield f"{one.clip:<18} {figures} {shares}"
    yield (
        f"{'drawn faces':<18} {'number':>7} {'flips/min':>9} {'wrong':>7} {'unknown':>8} "
        f"{'latency p50, p90':>17} {'missed':>7} {'under':>6}"
    )
    for row in result.drawn:
        yield (
            f"{row.faces:<18} {row.sequences:>7} {row.flips:>9.2f} {100 * row.wrong:>5.1f} % "
            f"{100 * row.unknown:>6.1f} % {row.latency:>9.2f}, {row.latency_90:.2f} s "
            f"{100 * row.missed:>5.1f} % {row.under:>6}"
        )
