"""What a bench found, and its JSON file: the one form that is shown, drawn and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from edgefer.errors import SettingsError
from edgefer.machine import Machine
from edgefer.messages import to_json
from edgefer.metrics import wilson
from edgefer_device.bench.board import Board
from edgefer_device.life.startup import Startup
from edgefer_device.life.state import write_beside

SCHEMA = 1
"""Of the JSON file."""
FOR_P90, FOR_P99 = 10, 100
"""Calls that a percentile needs, so that at least one lies beyond it."""


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


class Peak(msgspec.Struct, frozen=True):
    """The classifier's arithmetic beside that of the int8 kernels at their best here."""

    classifier: float
    """Thousand million multiplications a second of processor time, pixels to logits."""
    kernels: float
    """The same of a large convolution in the same runtime."""
    share: float
    """0..1."""


class Point(msgspec.Struct, frozen=True):
    """One value of a sweep."""

    value: int
    timing: Timing
    bound: float | None = None
    """What it should at most take, milliseconds of the sweep's own figure."""


class Sweep(msgspec.Struct, frozen=True):
    """What the cost grows with."""

    by: str
    """`threads`, `resolution` (the picture's height, pixels), `faces` or `rate` (frames a second
    of the camera)."""
    what: str
    """What was timed."""
    points: tuple[Point, ...]
    rule: str = ""
    """In words, how it may grow."""

    @property
    def figure(self) -> str:
        """What of a timing the bounds are of: threads spend processor time to save the clock's."""
        return "p50" if self.by == "threads" else "cpu_ms"


class Tried(msgspec.Struct, frozen=True):
    """The classifier in one setting."""

    runtime: str
    """A format of the bundle, which belongs to one runtime; or a chip's, by its name."""
    threads: int
    p50: float
    """Milliseconds a face, in the best of its loops: other work can only make it slower."""
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
    sweeps: tuple[Sweep, ...] = ()
    tried: tuple[Tried, ...] = ()
    """Of `--tune`, the one to take first."""
    accuracy: Accuracy | None = None
    peak: Peak | None = None


class Lap(NamedTuple):
    """What one loop noted."""

    calls: Sequence[tuple[float, float]]
    """Wall and CPU time of each, seconds."""
    seconds: float
    """Of the loop."""


def timing_of(what: str, laps: Sequence[Lap]) -> Timing | None:
    """Return the figures of a thing's loops; None without any call."""
    held = [lap for lap in laps if lap.calls]
    if not held:
        return None
    walls = 1e3 * np.concatenate([np.array(lap.calls)[:, 0] for lap in held])
    cpus = 1e3 * np.concatenate([np.array(lap.calls)[:, 1] for lap in held])
    return Timing(
        what=what,
        calls=len(walls),
        p50=float(np.percentile(walls, 50)),
        p90=float(np.percentile(walls, 90)) if len(walls) >= FOR_P90 else None,
        p99=float(np.percentile(walls, 99)) if len(walls) >= FOR_P99 else None,
        max=float(walls.max()),
        rate=len(walls) / sum(lap.seconds for lap in laps),
        cpu_ms=float(cpus.mean()),
        loops=tuple(map(_loop, held)),
    )


def _loop(lap: Lap) -> Loop:
    walls, cpus = 1e3 * np.array(lap.calls).T
    return Loop(len(lap.calls), lap.seconds, float(np.median(walls)), float(cpus.mean()))


def write_bench(path: Path, bench: Bench) -> None:
    """Write the JSON file; raise `SettingsError` where it cannot be written."""
    try:
        write_beside(path, f"{to_json(bench)}\n".encode())
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
