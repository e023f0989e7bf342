"""What a bench found, and its JSON file: the one form that is shown, drawn and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import SettingsError
from edgefer.files import write_atomic
from edgefer.machine import Machine
from edgefer.messages import to_json
from edgefer.metrics import wilson
from edgefer_device.bench.startup import Startup
from edgefer_device.bench.telemetry import Board

SCHEMA = 1
"""Of the JSON file."""
FOR_P90, FOR_P99 = 10, 100
"""Calls that a percentile needs, so that at least one lies beyond it."""
FOR_QUIET = 10
"""Calls that the quickest second must have: the median of fewer comes out low by chance."""

Milliseconds = NDArray[np.float64]


class Loop(msgspec.Struct, frozen=True):
    """One loop of a measurement."""

    calls: int
    seconds: float
    """Wall time of the loop."""
    p50: float
    """Median wall time of a call, milliseconds."""
    cpu_ms: float
    """CPU time a call, all threads of the process, milliseconds."""


class Timing(msgspec.Struct, frozen=True):
    """Wall time of one call over all loops, milliseconds, and what it took of the processor."""

    what: str
    calls: int
    quiet: float
    """Median of the quickest second: what comes again, for other work only makes a call slower."""
    p50: float
    p90: float | None
    """None where fewer than `FOR_P90` calls were made; `p99` likewise."""
    p99: float | None
    max: float
    rate: float
    """Calls a second."""
    cpu_ms: float
    """CPU time a call, all threads of the process, milliseconds."""
    loops: tuple[Loop, ...]

    @property
    def spread(self) -> float:
        """Range of the loops' medians, as a share of `p50`: how far one loop can be trusted."""
        medians = [loop.p50 for loop in self.loops]
        return (max(medians) - min(medians)) / self.p50 if self.p50 else 0.0


class Load(msgspec.Struct, frozen=True):
    """From a bundle on the disk to its first answer."""

    load_ms: float
    """Opening the model, the runtime's library included where nothing had loaded it before."""
    first_ms: float
    """The first face, before anything is warm."""
    memory_mb: float
    """By how much both let this process grow, million bytes."""


class Accuracy(msgspec.Struct, frozen=True):
    """What a model says of FER2013's PrivateTest on this machine."""

    accuracy: float
    """0..1."""
    low: float
    high: float
    """The 95 % interval (Wilson)."""
    pictures: int

    @classmethod
    def of(cls, right: Sequence[bool]) -> Accuracy:
        """Count which pictures were read right."""
        share, n = float(np.mean(right)), len(right)
        bounds = wilson(share, n)
        return cls(share, bounds.low, bounds.high, n)


class Tried(msgspec.Struct, frozen=True):
    """The classifier in one setting."""

    runtime: str
    """A format of the bundle, which belongs to one runtime; or a chip's, by its name."""
    threads: int
    quiet: float
    """Milliseconds a face, as `Timing.quiet`."""
    cpu_ms: float


class Bench(msgspec.Struct, frozen=True):
    """One bench on one machine; the JSON of `edgefer bench --json`."""

    schema: int
    machine: str
    described: Machine
    model: str
    runtime: str
    """The format that was run, which belongs to one runtime; or a chip's, by its name."""
    threads: int
    detector: str
    camera: str
    """The address, or what stood in for a camera."""
    short: bool
    """A short run: a glance, not a figure to quote."""
    loop_seconds: float
    load: Load
    timings: tuple[Timing, ...]
    startup: Startup
    board: Board
    warnings: tuple[str, ...]
    """Why the figures would not last, if they would not."""
    tried: tuple[Tried, ...] = ()
    """Of `--tune`, the one to take first."""
    accuracy: Accuracy | None = None


class Turn(NamedTuple):
    """What one turn of a thing noted."""

    calls: Sequence[tuple[float, float]]
    """Wall and CPU time of each, seconds."""
    seconds: float
    """Of the turn."""


def timing_of(what: str, turns: Sequence[Turn], of_a_loop: int) -> Timing | None:
    """Return the figures of a thing's turns, so many of which are a loop; None without a call."""
    whole = _joined(turns)
    if not whole.calls:
        return None
    walls, cpus = 1e3 * np.array(whole.calls).T
    loops = [_joined(turns[at : at + of_a_loop]) for at in range(0, len(turns), of_a_loop)]
    return Timing(
        what=what,
        calls=len(walls),
        quiet=_quickest_second(walls, whole.seconds),
        p50=float(np.percentile(walls, 50)),
        p90=float(np.percentile(walls, 90)) if len(walls) >= FOR_P90 else None,
        p99=float(np.percentile(walls, 99)) if len(walls) >= FOR_P99 else None,
        max=float(walls.max()),
        rate=len(walls) / whole.seconds,
        cpu_ms=float(cpus.mean()),
        loops=tuple(_loop(loop) for loop in loops if loop.calls),
    )


def _joined(turns: Sequence[Turn]) -> Turn:
    calls = [call for turn in turns for call in turn.calls]
    return Turn(calls, sum(turn.seconds for turn in turns))


def _quickest_second(walls: Milliseconds, seconds: float) -> float:
    """Return the least median of all seconds, or of longer parts where these have few calls."""
    parts = max(1, min(round(seconds), len(walls) // FOR_QUIET))
    return min(float(np.median(part)) for part in np.array_split(walls, parts))


def _loop(loop: Turn) -> Loop:
    walls, cpus = 1e3 * np.array(loop.calls).T
    return Loop(len(loop.calls), loop.seconds, float(np.median(walls)), float(cpus.mean()))


def write_bench(path: Path, bench: Bench) -> None:
    """Write the JSON file; raise `SettingsError` where it cannot be written."""
    try:
        write_atomic(path, f"{to_json(bench)}\n".encode())
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def read_bench(path: Path) -> Bench:
    """Read a JSON file of `edgefer bench`; raise `SettingsError` for any other."""
    try:
        bench = msgspec.json.decode(path.read_bytes(), type=Bench)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: not a bench: {exc}; make one: edgefer bench --json") from exc
    if bench.schema != SCHEMA:
        raise SettingsError(
            f"{path}: a bench of schema {bench.schema}, this edgefer reads {SCHEMA}; run it again"
        )
    return bench
