"""The result of a bench and its JSON file, which is shown, plotted and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgefer.errors import SettingsError
from edgefer.files import write_output
from edgefer.machine import Machine
from edgefer.messages import NOT_JSON, to_json, why_not_json
from edgefer.metrics import wilson
from edgefer_device.bench.startup import Startup
from edgefer_device.bench.telemetry import Telemetry

SCHEMA = 2
"""Of the JSON file."""
STAGE = "stage: "
"""Prefix of the names of a frame's stages."""


class Loop(msgspec.Struct, frozen=True):
    """One loop of a benchmark."""

    calls: int
    seconds: float
    """Wall time of the loop."""
    p50: float
    """Median wall time of a call, milliseconds."""
    cpu_ms: float
    """CPU time a call, all threads of the process, milliseconds."""


class Timing(msgspec.Struct, frozen=True):
    """Wall time of one call over all loops, milliseconds, and its CPU time."""

    what: str
    calls: int
    best_second: float
    """Median of the quickest second: the most repeatable figure, for other work only slows."""
    p50: float
    p90: float | None
    """None where fewer than `loops.FOR_P90` calls were made; `p99` likewise."""
    p99: float | None
    max: float
    rate: float
    """Calls a second."""
    cpu_ms: float
    """CPU time a call, all threads of the process, milliseconds."""
    loops: tuple[Loop, ...]

    @property
    def is_stage(self) -> bool:
        """Whether it is a part of a frame."""
        return self.what.startswith(STAGE)

    @property
    def spread(self) -> float:
        """Range of the loops' medians, as a share of `p50`: how far one loop can be trusted."""
        medians = [loop.p50 for loop in self.loops]
        return (max(medians) - min(medians)) / self.p50 if self.p50 else 0.0


class Load(msgspec.Struct, frozen=True):
    """From a bundle on the disk to its first result."""

    load_ms: float
    """Opening the model, the runtime's library included where nothing had loaded it before."""
    first_ms: float
    """The first face, before anything is warm."""
    memory_mb: float
    """By how much both let this process grow, million bytes."""


class Accuracy(msgspec.Struct, frozen=True):
    """A model's accuracy on FER2013's PrivateTest on this machine."""

    accuracy: float
    """0..1."""
    low: float
    high: float
    """The 95 % interval (Wilson)."""
    images: int

    @classmethod
    def of(cls, correct: Sequence[bool]) -> Accuracy:
        """Return the share of correct predictions."""
        share, n = float(np.mean(correct)), len(correct)
        bounds = wilson(share, n)
        return cls(share, bounds.low, bounds.high, n)


class Candidate(msgspec.Struct, frozen=True):
    """The classifier in one setting."""

    runtime: str
    """A format of the bundle, which belongs to one runtime; or an accelerator's name."""
    threads: int
    best_second: float
    """Milliseconds a face, as `Timing.best_second`."""
    cpu_ms: float


class Bench(msgspec.Struct, frozen=True):
    """One bench on one machine; the JSON of `edgefer bench --json`."""

    schema: int
    machine: str
    hardware: Machine
    model: str
    runtime: str
    """The format that was run, which belongs to one runtime; or an accelerator's name."""
    threads: int
    detector: str
    camera: str
    """The address, or what replaced a camera."""
    short: bool
    """A short run: an impression, not a figure to quote."""
    loop_seconds: float
    load: Load
    timings: tuple[Timing, ...]
    startup: Startup
    telemetry: Telemetry
    warnings: tuple[str, ...]
    """Why the figures would not last, if they would not."""
    candidates: tuple[Candidate, ...] = ()
    """Of `--tune`, the best first."""
    accuracy: Accuracy | None = None


def write_bench(path: Path, bench: Bench) -> None:
    """Write the JSON file; raise `SettingsError` where it cannot be written."""
    write_output(path, f"{to_json(bench)}\n")


def read_bench(path: Path) -> Bench:
    """Read a JSON file of `edgefer bench`; raise `SettingsError` for any other."""
    try:
        bench = msgspec.json.decode(path.read_bytes(), type=Bench)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except NOT_JSON as exc:
        why = why_not_json(exc)
        raise SettingsError(f"{path}: not a bench: {why}; make one: edgefer bench --json") from exc
    if bench.schema != SCHEMA:
        raise SettingsError(
            f"{path}: bench of schema {bench.schema}, expected {SCHEMA}; run it again"
        )
    return bench
