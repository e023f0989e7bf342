"""Plots of a bench and of a comparison; matplotlib is no requirement of a device."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from edgefer.errors import MissingExtra
from edgefer.files import check_output
from edgefer_device.bench.compare import Comparison
from edgefer_device.bench.result import Bench

if importlib.util.find_spec("matplotlib"):
    from matplotlib.axes import Axes

    from edgefer.theme import LIGHT, as_png


def check_plot(path: Path) -> None:
    """Raise `SettingsError` for a plot that is no PNG, `MissingExtra` without matplotlib, before
    the minutes that a bench takes."""
    check_output(path, ".png")
    if not importlib.util.find_spec("matplotlib"):
        raise MissingExtra("matplotlib", "train")


def draw_bench(bench: Bench) -> bytes:
    """Return a PNG: the time of each benchmark, and of each loop."""
    rows = len(bench.timings)
    short = ", a short run" if bench.short else ""
    note = f"{bench.model}, {bench.runtime}, threads: {bench.threads}{short}; {bench.machine}"
    heights = [0.6 + 0.38 * rows, 3.2]
    with LIGHT.applied():
        figure = LIGHT.figure(sum(heights) + 0.6, "Time of a frame", note)
        panels = figure.subplots(2, 1, height_ratios=heights)
        _draw_times(panels[0], bench)
        _draw_loops(panels[1], bench)
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
    """Draw the loops relative to the first: a machine that slows down shows at once."""
    timings = [one for one in bench.timings if not one.is_stage]
    for one, colour in zip(timings, LIGHT.series, strict=False):
        shares = [loop.p50 / one.loops[0].p50 for loop in one.loops]
        panel.plot(range(1, len(shares) + 1), shares, "-o", color=colour, label=one.what)
    panel.set_title("Loops", loc="left")
    panel.set_xticks(range(1, max(len(one.loops) for one in timings) + 1))
    panel.set_xlabel("loop")
    panel.set_ylabel("p50 / first loop's")
    panel.set_ylim(bottom=0)
    panel.legend(fontsize=10)
    panel.grid(axis="y")


def draw_comparison(comparison: Comparison) -> bytes:
    """Return a PNG: every loop or run of both benches, relative to the first's mean."""
    rows = comparison.rows
    note = f"p50 of each of the {comparison.units}; second: {Path(comparison.second).name}"
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
        panel.set_xlabel("time / mean of the first")
        panel.legend()
        panel.grid(axis="x")
        return as_png(figure)
