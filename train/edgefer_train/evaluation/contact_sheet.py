"""The worst mistakes side by side as one image."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from edgefer.preprocess import Pixels
from edgefer.theme import Theme, as_png
from edgefer_train.evaluation.charts import measured_on
from edgefer_train.evaluation.evaluate import Evaluation
from edgefer_train.evaluation.mistakes import Mistake

COLUMNS = 4
SIDE = 1.44
"""Of an image, inches."""
CELL = (1.6, 2.15)
"""Of an image and its words, inches."""


def draw_mistakes(done: Evaluation, images: Sequence[Pixels], theme: Theme) -> bytes:
    """Draw each mistake's image, uint8 (side, side), with what was said and labelled."""
    rows = max(1, -(-len(done.mistakes) // COLUMNS))
    title = "The most confident mistakes"
    figure = theme.figure(CELL[1] * rows, title, measured_on(done), placed=True)
    for at, (mistake, image) in enumerate(zip(done.mistakes, images, strict=True)):
        left = CELL[0] * (at % COLUMNS) + (CELL[0] - SIDE) / 2
        bottom = CELL[1] * (rows - at // COLUMNS) - SIDE
        panel = figure.add_axes(_shares(figure, left, bottom))
        panel.set_axis_off()
        panel.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
        said = f"{mistake.said} {100 * mistake.confidence:.0f} %"
        panel.text(0, -0.03, said, transform=panel.transAxes, va="top", weight="bold", size=12)
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
    """Return what others say of the image: `label: sad`, `people: fear 8/10`."""
    lines = [f"label: {mistake.labelled}"]
    if mistake.people:
        top = mistake.people
        lines.append(f"people: {top.label} {top.n}/{top.of}")
    return lines
