"""The charts of a comparison: how runs went on PublicTest, and what accuracy costs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import msgspec
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from edgefer.theme import LIGHT, Theme, as_png, epoch_axis, legend_below, percent_axis
from edgefer_train.evaluation.candidate import Candidate
from edgefer_train.evaluation.compare import Comparison, Row
from edgefer_train.evaluation.report_folder import report_folder, write_folder

RECORD, MARK = "comparison.json", "edgefer_comparison"
comparison_dir = functools.partial(report_folder, record=RECORD, mark=MARK)
"""`report_folder` for a comparison, known by its record."""

DASHES = ("-", "--", "-.", ":")
"""Of lines where there are more models than colours."""


def write_comparison(
    folder: Path, comparison: Comparison, candidates: Sequence[Candidate]
) -> Comparison:
    """Write comparison.json and its charts into an empty folder; return it with them named."""
    files = {}
    with LIGHT.applied():
        if any(candidate.fits for candidate in candidates):
            files["curves.png"] = draw_public(candidates, LIGHT)
        if any(_accuracy(row) is not None for row in comparison.rows):
            files["cost.png"] = draw_cost(comparison, LIGHT)
    comparison = msgspec.structs.replace(comparison, files=tuple(files))
    write_folder(folder, files, RECORD, comparison)
    return comparison


def draw_public(candidates: Sequence[Candidate], theme: Theme) -> bytes:
    """Draw the accuracy on PublicTest of every fit, by epoch; its best epoch is marked."""
    lines = [(one.facts.name, fit) for one in candidates for fit in one.fits if fit.public]
    note = "after each epoch; the mark is the best, which is kept"
    figure = theme.figure(5.4, "Accuracy on PublicTest", note)
    panel = figure.subplots()
    for at, (name, fit) in enumerate(lines):
        colour, dash = theme.series[at % len(theme.series)], DASHES[at // len(theme.series) % 4]
        epochs = range(1, len(fit.public) + 1)
        at_best, best = max(enumerate(fit.public, 1), key=lambda pair: pair[1])
        label = f"{name}, {fit.stage.name}: {100 * best:.2f} %"
        panel.plot(epochs, fit.public, dash, color=colour, linewidth=1.8, label=label)
        panel.plot([at_best], [best], "o", color=colour, markersize=7)
    epoch_axis(panel, max(len(fit.public) for _, fit in lines))
    percent_axis(panel, "y", decimals=None)
    panel.grid(alpha=0.6)
    legend_below(figure, panel)
    return as_png(figure)


def draw_cost(comparison: Comparison, theme: Theme) -> bytes:
    """Draw accuracy against multiply-accumulates, each with its 95 % interval.

    A filled mark is of PrivateTest. A run that was not measured on it stands hollow, at its
    best on PublicTest, which flatters it: the epoch was chosen there.
    """
    note = "filled: PrivateTest, 95 % interval; hollow: best epoch on PublicTest"
    figure = theme.figure(4.9, "What accuracy costs", note)
    panel = figure.subplots()
    pairs = ((row, _accuracy(row)) for row in comparison.rows)
    shown = [(row, accuracy) for row, accuracy in pairs if accuracy is not None]
    ends = [
        end for row, accuracy in shown for end in (row.scores.bounds if row.scores else (accuracy,))
    ]
    low, high = min(ends) - 0.01, max(ends) + 0.01
    # The lines of words beside two marks must not lie on each other.
    points = [(row.model.macs / 1e6, accuracy) for row, accuracy in shown]
    heights = spread(points, (high - low) / 9)
    for at, ((row, accuracy), height) in enumerate(zip(shown, heights, strict=True)):
        colour, macs = theme.series[at % len(theme.series)], row.model.macs / 1e6
        if row.scores:
            panel.vlines(macs, *row.scores.bounds, color=colour, linewidth=1.5)
        fill = colour if row.scores else theme.ground
        panel.plot([macs], [accuracy], "o", color=colour, markerfacecolor=fill, markersize=9)
        panel.annotate(
            f"{row.model.name}\n{100 * accuracy:.1f} %", (macs, height), xytext=(10, 0),
            textcoords="offset points", va="center", fontsize=11, color=colour,
        )  # fmt: skip
    _logarithmic(panel, [row.model.macs / 1e6 for row, _ in shown])
    panel.set(xlabel="million multiply-accumulates a face", ylabel="accuracy", ylim=(low, high))
    percent_axis(panel, "y", decimals=None)
    panel.grid(alpha=0.6)
    return as_png(figure)


def spread(points: Sequence[tuple[float, float]], gap: float) -> list[float]:
    """Return the heights of points (x > 0, y), raised so that neighbours are `gap` apart.

    Neighbours are those whose x differs by less than a factor of 3: the width of their words.
    """
    heights: dict[int, float] = {}
    for at in sorted(range(len(points)), key=lambda at: points[at][1]):
        x, y = points[at]
        below = [h + gap for other, h in heights.items() if 1 / 3 < points[other][0] / x < 3]
        heights[at] = max([y, *below])
    return [heights[at] for at in range(len(points))]


def _logarithmic(panel: Axes, values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with plain numbers and with room for words at the right."""
    panel.set_xscale("log")
    panel.set_xlim(min(values) / 1.5, max(values) * 3)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _accuracy(row: Row) -> float | None:
    """On PrivateTest where measured, else the best on PublicTest of the last fit."""
    if row.scores:
        return row.scores.accuracy
    return next((fit.public_accuracy for fit in reversed(row.fits) if fit.public_accuracy), None)
