"""Chart styles, light and dark, for matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as #rrggbb; the series' can be told apart by the colour-blind (Okabe & Ito)."""

    ground: str
    ink: str
    soft: str
    """Of what is read second: axes, captions."""
    line: str
    """Of what only guides the eye: grids, frames."""
    series: tuple[str, ...]
    headed: bool = True
    """Whether a chart carries its title, as one that stands alone must."""

    @property
    def shades(self) -> LinearSegmentedColormap:
        """From the ground to the first series' colour."""
        return LinearSegmentedColormap.from_list("shades", [self.ground, self.series[0]])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Draw whatever is drawn within in these colours, and in type for a phone's width."""
        with mpl.rc_context({
            "font.size": 13.5,
            "legend.fontsize": 12.5,
            "font.family": "DejaVu Sans",
            "figure.facecolor": self.ground,
            "savefig.facecolor": self.ground,
            "axes.facecolor": self.ground,
            "axes.edgecolor": self.soft,
            "axes.labelcolor": self.soft,
            "axes.titlecolor": self.ink,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": self.line,
            "text.color": self.ink,
            "xtick.color": self.soft,
            "ytick.color": self.soft,
            "legend.frameon": False,
        }):  # fmt: skip
            yield

    def figure(self, height: float, title: str, measured_on: str, placed: bool = False) -> Figure:
        """Return an empty figure, 6.4 by `height` inches, headed by a title and by what and how
        many images it was measured on; what is in it is laid out, or `placed` by the caller.
        """
        head = HEAD if self.headed else 0.0
        # Room at the right for half of the last number of an axis.
        layout = None if placed else ConstrainedLayoutEngine(w_pad=0.14)
        figure = Figure(figsize=(6.4, height + head), layout=layout)
        if self.headed:
            top = 1 - 0.08 / (height + head)
            # A second, empty line keeps the room that `measured_on` takes.
            where = {"y": top, "va": "top"} if placed else {}
            figure.suptitle(f"{title}\n", x=0.015, ha="left", size=14, weight="bold", **where)
            below = top - 0.32 / (height + head)
            size = min(10.5, 10.5 * LINE / len(measured_on)) if measured_on else 10.5
            figure.text(0.015, below, measured_on, color=self.soft, size=size, va="top")
        return figure


HEAD = 0.65
"""Height of a chart's heading, inches."""
LETTERS = 72
"""Of a legend that fit beside each other, with the marks before them."""
LINE = 80
"""Letters of its second line that fit beside each other; more are made smaller."""

LIGHT = Theme(
    ground="#ffffff",
    ink="#1b1f27",
    soft="#565d6b",
    line="#dfe2e8",
    series=("#0b66a8", "#c65911", "#0a7f62", "#9b4f86", "#7a6a00", "#4b4f58"),
)
DARK = Theme(
    ground="#171a20",
    ink="#eceef2",
    soft="#a4acba",
    line="#343a45",
    series=("#64b5f0", "#f0a05a", "#4fc7a3", "#d99bc6", "#d3c25a", "#b9bdc6"),
)


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG, 1,024 pixels wide where it is 6.4 inches."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=160)
    return content.getvalue()


def legend_below(figure: Figure, panel: Axes) -> None:
    """Name what a panel shows below the whole figure, where it lies on no curve."""
    handles, labels = panel.get_legend_handles_labels()
    columns = max(1, min(len(labels), LETTERS // (max(map(len, labels), default=0) + 6)))
    if labels:
        below: Literal["outside lower center"] = "outside lower center"
        figure.legend(handles, labels, loc=below, ncols=columns, frameon=False)


def epoch_axis(panel: Axes, epochs: int) -> None:
    """Mark whole epochs alone, 1 to `epochs`; one epoch is a point, which needs a mark."""
    panel.set(xlabel="epoch", xlim=(0.5, epochs + 0.5))
    panel.xaxis.set_major_locator(
        mpl.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    for line in panel.get_lines() if epochs == 1 else ():
        line.set(marker="o", markerfacecolor="none" if line.is_dashed() else None)


def percent_axis(panel: Axes, axis: str, decimals: int | None = 0) -> None:
    """Write the numbers of an axis over shares as percent; None is as many as it takes."""
    which = panel.xaxis if axis == "x" else panel.yaxis
    which.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals, symbol=" %"))
