"""Other packages beside ours, in turns, on the same clips and pictures.

Each runs in a process and an environment of its own, by its own public function. They take
turns of a second or so, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgefer.labels import FER2013
from edgefer_device.bench.result import Accuracy
from peers.peer import Peer, Process

CLIPS = ("single_face.mp4", "help.mkv")
TURNS, FRAMES, WARM_UP = 8, 24, 12
"""Turns of each on each clip, frames of a turn, and frames before the first that count."""
FACES, FACES_A_TURN = 3589, 100
"""All of PrivateTest."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and how much of it."""

    data: Path
    clips: Sequence[str] = CLIPS
    turns: int = TURNS
    faces: int = FACES

    @property
    def rows(self) -> list[int]:
        """PrivateTest's rows of `fer2013.npz`; fewer than all are drawn, always the same."""
        with np.load(self.data / "fer2013.npz") as arrays:
            private = np.flatnonzero(arrays["usage"] == 2)
        few = self.faces < len(private)
        chosen = np.random.default_rng(0).permutation(private)[: self.faces] if few else private
        return [int(row) for row in chosen]


@dataclass
class Tally:
    """What one peer has answered so far."""

    walls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    said: list[str] = field(default_factory=list)
    faces_cpu: float = 0.0

    def frames(self, clip: str, answer: Mapping[str, Any]) -> None:
        """Take a turn on a clip."""
        self.walls[clip] += answer["walls"]
        self.cpu[clip] += answer["cpu"]
        self.found[clip] += answer["found"]

    def faces(self, answer: Mapping[str, Any]) -> None:
        """Take a turn on pictures."""
        self.said += answer["said"]
        self.faces_cpu += answer["cpu"]


class Clip(msgspec.Struct, frozen=True):
    """One peer on one clip."""

    p50_ms: float
    """Wall time of a frame."""
    cpu_ms: float
    """Processor time of a frame, all threads, its decoding included."""
    found: float
    """Share of the frames that were answered for."""


class Result(msgspec.Struct, frozen=True):
    """One peer's figures."""

    name: str
    accuracy: Accuracy
    face_cpu_ms: float
    clips: dict[str, Clip]
    peak_mb: float
    start_s: float
    """From nothing to the first answer about a face, wall time; `start_cpu_s` processor time."""
    start_cpu_s: float
    installed_mb: float | None


def measure(peers: Sequence[Peer], plan: Plan) -> list[Result]:
    """Install what is missing, then run all of them in turns."""
    for peer in peers:
        peer.install()
    with ExitStack() as held:
        first = plan.data / "clips" / plan.clips[0]
        opened = [_started(held, peer, first) for peer in peers]
        tallies = {process.peer.name: Tally() for process, _ in opened}
        processes = [process for process, _ in opened]
        _run_clips(processes, tallies, plan)
        truth = _run_faces(processes, tallies, plan)
        return [
            _result(process, start, tallies[process.peer.name], truth) for process, start in opened
        ]


def _started(held: ExitStack, peer: Peer, clip: Path) -> tuple[Process, dict[str, Any]]:
    """Start a peer twice: what Python compiles at the first start is there at the second."""
    print(f"starting {peer.name}", file=sys.stderr)
    with Process(peer) as process:
        process.ask("first", path=str(clip))
    process = held.enter_context(Process(peer))
    return process, process.ask("first", path=str(clip))


def _run_clips(processes: Sequence[Process], tallies: Mapping[str, Tally], plan: Plan) -> None:
    for clip in plan.clips:
        path = str(plan.data / "clips" / clip)
        for process in processes:
            process.ask("clip", path=path, frames=WARM_UP)
        for turn in range(plan.turns):
            print(f"{clip}: turn {turn + 1} of {plan.turns}", file=sys.stderr)
            for process in processes:
                tally = tallies[process.peer.name]
                tally.frames(clip, process.ask("clip", path=path, frames=FRAMES))


def _run_faces(
    processes: Sequence[Process], tallies: Mapping[str, Tally], plan: Plan
) -> Sequence[str]:
    """Have the same pictures read; return what they are labelled."""
    path = plan.data / "fer2013.npz"
    rows = plan.rows
    for begin in range(0, len(rows), FACES_A_TURN):
        for process in processes:
            turn = rows[begin : begin + FACES_A_TURN]
            answer = process.ask("faces", path=str(path), rows=turn)
            tallies[process.peer.name].faces(answer)
    with np.load(path) as arrays:
        return [FER2013[label] for label in arrays["labels"][rows]]


def _result(
    process: Process, start: Mapping[str, Any], tally: Tally, truth: Sequence[str]
) -> Result:
    right = [one == other for one, other in zip(tally.said, truth, strict=True)]
    return Result(
        name=process.peer.name,
        accuracy=Accuracy.of(right),
        face_cpu_ms=1e3 * tally.faces_cpu / len(truth),
        clips={
            clip: Clip(
                float(np.median(walls)),
                1e3 * tally.cpu[clip] / len(walls),
                tally.found[clip] / len(walls),
            )
            for clip, walls in tally.walls.items()
        },
        peak_mb=process.ask("memory")["peak"],
        start_s=start["wall"],
        start_cpu_s=start["cpu"],
        installed_mb=process.peer.installed_mb,
    )
