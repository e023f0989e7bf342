"""Two benches compared: which differences are significant.

The figures tested are the medians of the loops of one run each, or of the runs where each side has
several: only those hold how a machine varies from one run to the next. Their distribution is
unknown, so the test is a permutation test of the difference of means (Pitman 1937; Good 2005,
"Permutation, Parametric and Bootstrap Tests of Hypotheses"): exact where there are few enough
permutations to try all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations
from math import comb
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgefer.errors import SettingsError
from edgefer_device.bench.result import Bench, read_bench

LEVEL = 0.05
"""p-value below which a difference is significant."""
PERMUTATIONS = 20_000
"""Up to which all are tried; else so many are drawn at random."""
SETTINGS = ("model", "runtime", "threads", "detector", "camera", "machine", "loop_seconds", "short")
"""Settings whose differences are shown with the table."""

Medians = dict[str, tuple[float, ...]]
"""Of one run, by benchmark, milliseconds."""


class Row(msgspec.Struct, frozen=True):
    """One benchmark in both benches."""

    what: str
    first: tuple[float, ...]
    """Median of each loop or run, milliseconds."""
    second: tuple[float, ...]
    ratio: float
    """Mean of the second's over that of the first's."""
    p_value: float
    """Of a difference this large or larger if both were alike; two-sided."""

    @property
    def verdict(self) -> str:
        """Whether the second is faster, slower, or neither significantly."""
        if self.p_value >= LEVEL:
            return "not significant"
        return "faster" if self.ratio < 1 else "slower"


class Comparison(msgspec.Struct, frozen=True):
    """The second bench relative to the first."""

    first: str
    second: str
    units: Literal["loops", "runs"]
    """Whose medians were tested."""
    differences: tuple[str, ...]
    """Of the settings: `threads: 1, then 4`."""
    rows: tuple[Row, ...]


def compare_files(first: Path, second: Path) -> Comparison:
    """Compare two files of `edgefer bench --json`, or two folders of such; raises `SettingsError`.

    A folder's files are runs of the same setup: one with other settings is refused, and so are
    too few for a significant difference.
    """
    one, other = _runs(first), _runs(second)
    units: Literal["loops", "runs"] = "loops" if len(one) == len(other) == 1 else "runs"
    # Two groups that could not lie further apart have the least p-value that their sizes allow.
    if units == "runs" and permutation_test([0] * len(one), [1] * len(other)) >= LEVEL:
        raise SettingsError(
            f"{first} and {second}: {len(one)} and {len(other)} runs cannot show a significant "
            "difference; run each bench four times, in turns"
        )
    medians = _by_loop if units == "loops" else _by_run
    before, after = ([medians(run) for run in runs] for runs in (one, other))
    common = [what for what in before[0] if all(what in run for run in (*before, *after))]
    if not common:
        raise SettingsError(f"{first} and {second}: no benchmark in common")
    rows = tuple(_row(what, before, after) for what in common)
    differences = tuple(_differences(one[0], other[0]))
    return Comparison(str(first), str(second), units, differences, rows)


def _runs(path: Path) -> list[Bench]:
    """Read a bench, or all in a folder."""
    if not path.is_dir():
        return [read_bench(path)]
    files = sorted(path.glob("*.json"))
    if not files:
        raise SettingsError(f"{path}: no bench in it; make one: edgefer bench --json {path}/1.json")
    runs = [read_bench(file) for file in files]
    for file, run in zip(files, runs, strict=True):
        if differences := _differences(runs[0], run):
            raise SettingsError(f"{file}: not the setup of {files[0].name}: {differences[0]}")
    return runs


def _by_loop(run: Bench) -> Medians:
    return {one.what: tuple(loop.p50 for loop in one.loops) for one in run.timings}


def _by_run(run: Bench) -> Medians:
    return {one.what: (one.p50,) for one in run.timings}


def _row(what: str, before: list[Medians], after: list[Medians]) -> Row:
    first, second = (tuple(chain(*(run[what] for run in runs))) for runs in (before, after))
    ratio = float(np.mean(second) / np.mean(first))
    return Row(what, first, second, ratio, permutation_test(first, second))


def _differences(one: Bench, other: Bench) -> list[str]:
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in SETTINGS]
    versions = [bench.hardware.versions for bench in (one, other)]
    for name in sorted({*versions[0], *versions[1]}):
        pairs.append((name, versions[0].get(name, "none"), versions[1].get(name, "none")))
    pairs.append(("governor", one.hardware.governor, other.hardware.governor))
    return [f"{name}: {first}, then {second}" for name, first, second in pairs if first != second]


def permutation_test(first: Sequence[float], second: Sequence[float], seed: int = 1) -> float:
    """Return the two-sided p-value of the difference of two groups' means."""
    values, n = np.array([*first, *second]), len(first)
    observed = abs(values[:n].mean() - values[n:].mean())
    if comb(len(values), n) <= PERMUTATIONS:
        chosen = np.array(list(combinations(range(len(values)), n)))
    else:
        drawn = np.random.default_rng(seed).permuted(
            np.tile(np.arange(len(values)), (PERMUTATIONS, 1)), axis=1
        )
        # The observed order is one of the possible.
        chosen = np.vstack([np.arange(n), drawn[:, :n]])
    sums = values[chosen].sum(1)
    means = sums / n - (values.sum() - sums) / (len(values) - n)
    # Sums of the same numbers in another order differ in their last bits.
    return float((np.abs(means) >= observed * (1 - 1e-9) - 1e-12).mean())
