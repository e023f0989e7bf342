"""Two benches side by side: which differences are more than what loops differ by anyway.

The figures tested are the medians of the loops. Theirs is no known distribution, so the test is
a permutation test of the difference of means (Pitman 1937; Good 2005, "Permutation, Parametric
and Bootstrap Tests of Hypotheses"): exact where there are few enough orders to try all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from pathlib import Path

import msgspec
import numpy as np

from edgefer.errors import SettingsError
from edgefer_device.bench.result import Bench, Timing, read_bench

LEVEL = 0.05
"""p-value under which a difference counts."""
ALL = 20_000
"""Orders up to which all are tried; else so many are drawn at random."""
SETTINGS = ("model", "runtime", "threads", "detector", "camera", "machine", "loop_seconds", "short")
"""What two benches may differ in, and whoever reads the table must know."""


class Row(msgspec.Struct, frozen=True):
    """One timed thing in both benches."""

    what: str
    first: tuple[float, ...]
    """Median of each loop, milliseconds."""
    second: tuple[float, ...]
    ratio: float
    """Mean of the second's over that of the first's."""
    p_value: float
    """Of a difference this large or larger if both were alike; two-sided."""

    @property
    def verdict(self) -> str:
        """What can be said."""
        if self.p_value >= LEVEL:
            return "not shown to differ"
        return "faster" if self.ratio < 1 else "slower"


class Comparison(msgspec.Struct, frozen=True):
    """The second bench measured against the first."""

    first: str
    second: str
    differences: tuple[str, ...]
    """Of the settings, in words."""
    rows: tuple[Row, ...]


def compare_files(first: Path, second: Path) -> Comparison:
    """Compare two files of `edgefer bench --json`; raises `SettingsError`."""
    one, other = read_bench(first), read_bench(second)
    found = {timing.what: timing for timing in other.timings}
    both = [(timing, found[timing.what]) for timing in one.timings if timing.what in found]
    if not both:
        raise SettingsError(f"{first} and {second}: they have nothing in common to compare")
    rows = tuple(_row(timing, beside) for timing, beside in both)
    return Comparison(str(first), str(second), tuple(_differences(one, other)), rows)


def _row(one: Timing, other: Timing) -> Row:
    first, second = (tuple(loop.p50 for loop in timing.loops) for timing in (one, other))
    ratio = float(np.mean(second) / np.mean(first))
    return Row(one.what, first, second, ratio, permutation_test(first, second))


def _differences(one: Bench, other: Bench) -> list[str]:
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in SETTINGS]
    said = [f"{name}: {first}, then {second}" for name, first, second in pairs if first != second]
    names = {*one.described.versions, *other.described.versions}
    for name in sorted(names):
        first, second = (bench.described.versions.get(name, "none") for bench in (one, other))
        if first != second:
            said.append(f"{name}: {first}, then {second}")
    if one.described.governor != other.described.governor:
        said.append(f"governor: {one.described.governor}, then {other.described.governor}")
    return said


def permutation_test(first: Sequence[float], second: Sequence[float], seed: int = 1) -> float:
    """Return the two-sided p-value of the difference of two groups' means."""
    values, n = np.array([*first, *second]), len(first)
    observed = abs(values[:n].mean() - values[n:].mean())
    if comb(len(values), n) <= ALL:
        chosen = np.array(list(combinations(range(len(values)), n)))
    else:
        drawn = np.random.default_rng(seed).permuted(
            np.tile(np.arange(len(values)), (ALL, 1)), axis=1
        )
        # The order that was found is one of those possible.
        chosen = np.vstack([np.arange(n), drawn[:, :n]])
    sums = values[chosen].sum(1)
    means = sums / n - (values.sum() - sums) / (len(values) - n)
    # Sums of the same numbers in another order differ in their last bits.
    return float((np.abs(means) >= observed * (1 - 1e-9) - 1e-12).mean())
