"""Learning curves of a fit as a PNG, drawn anew after each epoch."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgefer.theme import as_png, epoch_axis, legend_below
from edgefer_train.run import Stage

COLOURS = ("#3b6fb6", "#d1843c", "#4f9a6b")
"""One a head; readable beside each other by the colour-blind too."""


def draw_curves(stage: Stage, title: str) -> bytes:
    """Draw loss and accuracy of every head, on Training and PublicTest, by epoch; return a PNG.

    A stage that learns what the float model predicts has its agreement with that, not accuracy.

    The curves on PublicTest are of the averaged weights and of images as they are, so they can
    lie above those on augmented Training.
    """
    rows = [{name: float(value) for name, value in row.items()} for row in stage.rows()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    share = "agreement" if any(name.endswith("agreement") for name in rows[0]) else "accuracy"
    panels = figure.subplots(1, 2)
    for panel, what in zip(panels, ("loss", share), strict=True):
        _draw(panel, rows, what)
    legend_below(figure, panels[1])
    return as_png(figure)


def _draw(panel: Axes, rows: list[dict[str, float]], what: str) -> None:
    heads = [name for name in rows[0] if name.endswith(what) and not name.startswith("val_")]
    if len(heads) > 1:
        # The sum of several heads' losses has another scale than each of them.
        heads = [name for name in heads if name != what]
    epochs = [row["epoch"] for row in rows]
    for name, colour in zip(heads, COLOURS, strict=False):
        head = name.removesuffix(what).strip("_")
        panel.plot(epochs, [row[name] for row in rows], "--", color=colour, linewidth=1.2)
        values = [row[f"val_{name}"] for row in rows]
        panel.plot(epochs, values, color=colour, linewidth=2, label=head)
    name = "agreement with float" if what == "agreement" else what
    panel.set_title(f"{name}: PublicTest, Training dashed")
    epoch_axis(panel, max(map(int, epochs)))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25)
