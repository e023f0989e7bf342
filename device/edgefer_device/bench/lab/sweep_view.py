"""Sweeps as tables and as a plot."""

from __future__ import annotations

import importlib.util
from textwrap import fill

from rich.console import Console

from edgefer.terminal import Terminal, styled
from edgefer_device.bench.lab.sweep import Sweep, Sweeps
from edgefer_device.bench.view import ms, numbers_table, per_second

if importlib.util.find_spec("matplotlib"):
    from matplotlib.axes import Axes

    from edgefer.theme import LIGHT, as_png

AXES = {"resolution": "height, pixels", "rate": "frames a second"}
"""Labels of the axes of parameters whose name is not enough."""
RULE_WIDTH = 56
"""Characters of a rule that a line above its panel has room for."""


def show_sweeps(done: Sweeps, console: Console | None = None) -> None:
    """Print a table for each sweep."""
    console = console or Terminal()
    console.print(styled((done.model, "bold"), f", {done.machine}"))
    for sweep in done.sweeps:
        columns = ("p50", "p90", "CPU", "/s", "bound")
        table = numbers_table(sweep.what, sweep.rule, columns, sweep.by)
        for point in sweep.points:
            one = point.timing
            times = ms(one.p50), ms(one.p90), ms(one.cpu_ms)
            table.add_row(str(point.value), *times, per_second(one.rate), ms(point.bound))
        console.print(table)


def draw_sweeps(done: Sweeps) -> bytes:
    """Return a PNG with a panel for each sweep."""
    count = len(done.sweeps)
    with LIGHT.applied():
        figure = LIGHT.figure(2.8 * count + 0.6, "Growth", f"{done.model}; {done.machine}")
        panels = figure.subplots(count, 1, squeeze=False)[:, 0]
        for panel, sweep in zip(panels, done.sweeps, strict=True):
            _draw_sweep(panel, sweep)
        return as_png(figure)


def _draw_sweep(panel: Axes, sweep: Sweep) -> None:
    values = [point.value for point in sweep.points]
    for name, label, colour in zip(("p50", "cpu_ms"), ("p50", "CPU"), LIGHT.series, strict=False):
        times = [getattr(point.timing, name) for point in sweep.points]
        panel.plot(values, times, "-o", color=colour, label=label)
    bounds = [point.bound for point in sweep.points if point.bound is not None]
    if len(bounds) == len(values):
        name = "p50" if sweep.figure == "p50" else "CPU"
        panel.plot(values, bounds, ":", color=LIGHT.ink, label=f"bound of {name}")
    rule = fill(f"bound: {sweep.rule}", RULE_WIDTH)
    panel.set_title(f"{sweep.what}\n{rule}", loc="left", fontsize=10)
    panel.set_xlabel(AXES.get(sweep.by, sweep.by))
    panel.set_ylim(bottom=0)
    panel.set_xticks(values)
    panel.set_ylabel("milliseconds")
    panel.legend(fontsize=10)
    panel.grid(axis="y")
