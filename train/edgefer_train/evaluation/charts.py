"""The charts of one evaluation, each a PNG in the colours of a theme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgefer.metrics import Bin, wilson
from edgefer.preprocess import Pixels
from edgefer.theme import Theme, as_png, legend_below, percent_axis
from edgefer_train.evaluation.evaluate import Evaluation, Mistake
from edgefer_train.fitting.curves import draw_curves
from edgefer_train.run import Stage

COLUMNS = 4
SIDE = 1.44
"""Of an image, inches."""
CELL = (1.6, 2.15)
"""Of an image and its words, inches."""


def measured_on(done: Evaluation) -> str:
    """Return what a chart was measured on and how many images that were."""
    return f"{done.model.name}, {done.format}; PrivateTest of {done.dataset}, n = {done.n:,}"


def draw_confusion(done: Evaluation, theme: Theme) -> bytes:
    """Draw how often each label was taken for which: share of the row, and images."""
    counts = np.array(done.confusion)
    rows = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names, size = done.model.labels, len(counts)
    # A user's own labels may be many: from eight on the words shrink with their cells.
    small = min(12.5, 90 / size)
    figure = theme.figure(6.25, "Confusion matrix", measured_on(done))
    panel = figure.subplots()
    panel.imshow(rows, cmap=theme.shades, vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        share = rows[row, column]
        colour = theme.ground if share > 0.55 else theme.ink
        text = f"{100 * share:.0f} %\n{counts[row, column]:,}"
        panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=small)
    labelled = [f"{name}\n{n:,}" for name, n in zip(names, counts.sum(1), strict=True)]
    panel.set_xticks(range(size), names, rotation=35, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(size), labelled)
    panel.set(xlabel="predicted", ylabel="label (images)")
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return as_png(figure)


def draw_calibration(done: Evaluation, theme: Theme) -> bytes:
    """Draw accuracy against confidence, before and after the temperature."""
    figure = theme.figure(5.95, "Calibration", measured_on(done))
    panel, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    panel.plot([0, 1], [0, 1], color=theme.soft, linewidth=1, linestyle=":", label="perfect")
    pairs = [(done.reliability, f"temperature {done.temperature:g}", done.calibration_error)]
    if done.temperature != 1:
        pairs.insert(0, (done.reliability_before, "before", done.calibration_error_before))
    colours = theme.series[1::-1][-len(pairs) :]
    for (bins, name, error), colour in zip(pairs, colours, strict=True):
        label = f"{name}: error {error:.3f}"
        _calibration_line(panel, bins, colour, label)
        _histogram(counts, bins, colour, filled=bins is done.reliability)
    panel.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    legend_below(figure, panel)
    counts.set(xlabel="confidence, in 15 bins; upright lines are 95 % intervals", ylabel="images")
    for one in (panel, counts):
        one.grid(alpha=0.6)
        one.set_axisbelow(True)
    percent_axis(panel, "y")
    percent_axis(counts, "x")
    return as_png(figure)


def _calibration_line(panel: Axes, bins: Sequence[Bin], colour: str, label: str) -> None:
    full = [one for one in bins if one.n]
    x, y = [one.confidence for one in full], [one.accuracy for one in full]
    # A bin of few images is less certain: its mark is small.
    sizes = [12 + 90 * one.n / max(part.n for part in full) for one in full]
    bounds = [wilson(one.accuracy, one.n) for one in full]
    panel.vlines(x, *zip(*bounds, strict=True), color=colour, alpha=0.45, linewidth=1.2)
    panel.plot(x, y, color=colour, linewidth=1.8, label=label)
    panel.scatter(x, y, sizes, color=colour, zorder=3)


def _histogram(panel: Axes, bins: Sequence[Bin], colour: str, filled: bool) -> None:
    edges = [one.low for one in bins] + [1.0]
    heights = [one.n for one in bins]
    panel.stairs(heights, edges, color=colour, fill=filled, alpha=0.75 if filled else 1.0)


def draw_coverage(done: Evaluation, theme: Theme) -> bytes:
    """Draw accuracy against coverage as the confidence threshold rises."""
    points = [point for point in done.coverage if point.n]
    chosen = done.at_threshold
    figure = theme.figure(4.55, "Risk-coverage", measured_on(done))
    panel = figure.subplots()
    x, y = [point.coverage for point in points], [point.accuracy for point in points]
    panel.plot(x, y, color=theme.series[0], linewidth=2.2)
    if chosen.n:
        _threshold(panel, done, theme)
    low = min(y) - 0.02
    panel.set(
        xlabel="coverage: share of the images above the threshold", xlim=(0, 1.01), ylim=(low, 1.02)
    )
    panel.set(ylabel="accuracy of those")
    percent_axis(panel, "x")
    percent_axis(panel, "y")
    panel.grid(alpha=0.6)
    return as_png(figure)


def _threshold(panel: Axes, done: Evaluation, theme: Theme) -> None:
    """Mark what the device does, its words on that side where there is room."""
    chosen, colour = done.at_threshold, theme.series[1]
    panel.plot([chosen.coverage], [chosen.accuracy], "o", color=colour, markersize=10)
    left = chosen.coverage > 0.5
    panel.annotate(
        f"unknown under {100 * chosen.threshold:.0f} %, the default:\n"
        f"{100 * chosen.coverage:.0f} % covered, {100 * chosen.accuracy:.1f} % accuracy",
        (chosen.coverage, chosen.accuracy),
        xytext=(-16, -6) if left else (16, 6),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if left else "bottom",
        fontsize=12.5,
        color=colour,
    )


def draw_classes(done: Evaluation, theme: Theme) -> bytes:
    """Draw precision and recall of each label, the best F1 first."""
    ranked = sorted(done.per_class.items(), key=lambda item: item[1].f1)
    figure = theme.figure(0.55 * len(ranked) + 1.25, "Precision and recall", measured_on(done))
    panel = figure.subplots()
    for at, (_, one) in enumerate(ranked):
        panel.plot([one.precision, one.recall], [at, at], color=theme.line, linewidth=5, zorder=1)
    for name, colour, mark in (
        ("recall", theme.series[0], "o"),
        ("precision", theme.series[1], "D"),
    ):
        values = [getattr(one, name) for _, one in ranked]
        panel.scatter(values, range(len(ranked)), 70, color=colour, marker=mark, label=name)
    panel.set_yticks(range(len(ranked)), [f"{name}, {one.n:,}" for name, one in ranked])
    panel.set(xlim=(0, 1.02))
    percent_axis(panel, "x")
    panel.grid(axis="x", alpha=0.6)
    legend_below(figure, panel)
    return as_png(figure)


def draw_fit(stage: Stage, theme: Theme, title: str) -> bytes:
    """Draw a stage's curves of loss and accuracy."""
    with theme.applied():
        return draw_curves(stage, title)


def draw_mistakes(done: Evaluation, images: Sequence[Pixels], theme: Theme) -> bytes:
    """Draw each mistake's image, uint8 (side, side), with prediction and label."""
    rows = max(1, -(-len(done.mistakes) // COLUMNS))
    title = "The most confident mistakes"
    figure = theme.figure(CELL[1] * rows, title, measured_on(done), placed=True)
    for at, (mistake, image) in enumerate(zip(done.mistakes, images, strict=True)):
        left = CELL[0] * (at % COLUMNS) + (CELL[0] - SIDE) / 2
        bottom = CELL[1] * (rows - at // COLUMNS) - SIDE
        panel = figure.add_axes(_shares(figure, left, bottom))
        panel.set_axis_off()
        panel.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
        predicted = f"{mistake.predicted} {100 * mistake.confidence:.0f} %"
        panel.text(0, -0.03, predicted, transform=panel.transAxes, va="top", weight="bold", size=12)
        panel.text(
            0, -0.2, "\n".join(described(mistake)), transform=panel.transAxes,
            va="top", fontsize=9.5, color=theme.soft, linespacing=1.3,
        )  # fmt: skip
    return as_png(figure)


def _shares(figure: Figure, left: float, bottom: float) -> tuple[float, float, float, float]:
    """An image's place in inches as shares of the figure: left, bottom, width, height."""
    width, height = figure.get_size_inches()
    return left / width, bottom / height, SIDE / width, SIDE / height


def described(mistake: Mistake) -> list[str]:
    """Return the lines below a mistake: `label: sad`, `annotators: fear 8/10`."""
    lines = [f"label: {mistake.label}"]
    if mistake.annotators:
        top = mistake.annotators
        lines.append(f"annotators: {top.label} {top.n}/{top.of}")
    return lines
