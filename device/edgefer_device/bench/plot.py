"""A bench, and two of them, drawn; matplotlib is not part of what a device needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from edgefer.errors import MissingExtra, SettingsError
from edgefer.files import write_atomic
from edgefer.machine import machine
from edgefer_device.bench.compare import Comparison
from edgefer_device.bench.result import Bench
from edgefer_device.bench.stages import STAGE
from edgefer_device.bench.sweep import Sweep

if importlib.util.find_spec("matplotlib"):
    from matplotlib.axes import Axes

    from edgefer.theme import LIGHT, as_png


AXES = {"resolution": "height, pixels", "rate": "frames a second"}
"""What stands below a sweep that is not named by its own word."""
RULE = 56
"""Letters of a sweep's bound that a line above its panel has room for."""


def check_plot(path: Path) -> None:
    """Raise `SettingsError` for a picture that would not be PNG, `MissingExtra` where none can
    be drawn: before the minutes that a bench takes."""
    if path.suffix.lower() != ".png":
        raise SettingsError(f"{path}: the plot is a PNG picture; end its name in .png")
    if not importlib.util.find_spec("matplotlib"):
        raise MissingExtra("matplotlib", "train")
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise `SettingsError` for a file whose folder is not there."""
    if not path.parent.is_dir():
        raise SettingsError(f"{path}: there is no folder {path.parent}; make it first")


def write_plot(path: Path, content: bytes) -> None:
    """Write a picture; raise `SettingsError` where it cannot be written."""
    try:
        write_atomic(path, content)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def draw_bench(bench: Bench) -> bytes:
    """Return a PNG: each thing's time, and how the loops went."""
    rows = len(bench.timings)
    short = ", a short run" if bench.short else ""
    note = f"{bench.model}, {bench.runtime}, threads: {bench.threads}{short}; {bench.machine}"
    heights = [0.6 + 0.38 * rows, 3.2]
    with LIGHT.applied():
        figure = LIGHT.figure(sum(heights) + 0.6, "What a frame costs", note)
        panels = figure.subplots(2, 1, height_ratios=heights)
        _draw_times(panels[0], bench)
        _draw_loops(panels[1], bench)
        return as_png(figure)


def draw_sweeps(sweeps: Sequence[Sweep]) -> bytes:
    """Return a PNG with a panel for each sweep."""
    with LIGHT.applied():
        figure = LIGHT.figure(2.8 * len(sweeps) + 0.6, "What the cost grows with", machine())
        panels = figure.subplots(len(sweeps), 1, squeeze=False)[:, 0]
        for panel, sweep in zip(panels, sweeps, strict=True):
            _draw_sweep(panel, sweep)
        return as_png(figure)


def _draw_times(panel: Axes, bench: Bench) -> None:
    rows = np.arange(len(bench.timings))
    panel.barh(rows, [one.p50 for one in bench.timings], color=LIGHT.series[0], label="p50")
    for name, mark, colour in (("p90", "D", LIGHT.series[1]), ("p99", "|", LIGHT.ink)):
        known = [(getattr(one, name), row) for row, one in enumerate(bench.timings)]
        dots = [(value, row) for value, row in known if value is not None]
        if dots:
            panel.plot(*zip(*dots, strict=True), mark, color=colour, label=name)
    panel.set_yticks(rows, [one.what for one in bench.timings])
    panel.invert_yaxis()
    panel.set_xlabel("milliseconds a call")
    panel.legend(fontsize=10)
    panel.grid(axis="x")
    panel.set_axisbelow(True)


def _draw_loops(panel: Axes, bench: Bench) -> None:
    """Draw the loops in shares of the first: a machine that tires shows at once."""
    timings = [one for one in bench.timings if not one.what.startswith(STAGE)]
    for one, colour in zip(timings, LIGHT.series, strict=False):
        shares = [loop.p50 / one.loops[0].p50 for loop in one.loops]
        panel.plot(range(1, len(shares) + 1), shares, "-o", color=colour, label=one.what)
    panel.set_title("Did it last?", loc="left")
    panel.set_xticks(range(1, max(len(one.loops) for one in timings) + 1))
    panel.set_xlabel("loop")
    panel.set_ylabel("p50 over the first's")
    panel.set_ylim(bottom=0)
    panel.legend(fontsize=10)
    panel.grid(axis="y")


def _draw_sweep(panel: Axes, sweep: Sweep) -> None:
    values = [point.value for point in sweep.points]
    for name, label, colour in (
        ("p50", "p50", LIGHT.series[0]),
        ("cpu_ms", "CPU", LIGHT.series[1]),
    ):
        times = [getattr(point.timing, name) for point in sweep.points]
        panel.plot(values, times, "-o", color=colour, label=label)
    bounds = [point.bound for point in sweep.points if point.bound is not None]
    if len(bounds) == len(values):
        name = "p50" if sweep.figure == "p50" else "CPU"
        panel.plot(values, bounds, ":", color=LIGHT.ink, label=f"bound of {name}")
    panel.set_ylim(bottom=0)
    rule = fill(f"bound: {sweep.rule}", RULE)
    panel.set_title(f"{sweep.what}\n{rule}", loc="left", fontsize=10)
    panel.set_xlabel(AXES.get(sweep.by, sweep.by))
    panel.set_xticks(values)
    panel.set_ylabel("milliseconds")
    panel.legend(fontsize=10)
    panel.grid(axis="y")


def draw_comparison(comparison: Comparison) -> bytes:
    """Return a PNG: every loop or run of both benches, in shares of the first's mean."""
    rows = comparison.rows
    note = f"a dot for each of the {comparison.units}' p50; second: {Path(comparison.second).name}"
    with LIGHT.applied():
        figure = LIGHT.figure(1.6 + 0.42 * len(rows), "Two benches", note)
        panel = figure.subplots()
        for at, row in enumerate(rows):
            mean = float(np.mean(row.first))
            for series, medians in enumerate((row.first, row.second)):
                shares = [value / mean for value in medians]
                y, colour = at + 0.28 * series - 0.14, LIGHT.series[series]
                label = ("first", "second")[series] if not at else None
                panel.plot(shares, [y] * len(shares), "o", color=colour, label=label, alpha=0.7)
        panel.axvline(1, color=LIGHT.soft, linewidth=1, linestyle=":")
        panel.set_yticks(range(len(rows)), [f"{row.what}\n{row.verdict}" for row in rows], size=9)
        panel.invert_yaxis()
        panel.set_xlabel("time over the mean of the first")
        panel.legend()
        panel.grid(axis="x")
        return as_png(figure)
