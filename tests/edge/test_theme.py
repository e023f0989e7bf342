"""Charts: a legend lies on no curve, epochs are whole."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edgefer.theme import LIGHT, epoch_axis, legend_below


def lay_out(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]  # matplotlib's


@pytest.mark.parametrize(
    "names", [["fer2013", "ferplus"], ["a name as long as a run's, qat: 68 %"] * 6]
)
def test_a_legend_is_below_the_panel_and_within_the_figure(names: list[str]) -> None:
    with LIGHT.applied():
        figure = LIGHT.figure(5.0, "Curves", "of nothing")
        panel = figure.subplots()
        for name in names:
            panel.plot([1, 2], [0, 1], label=name)
        legend_below(figure, panel)
        lay_out(figure)
    (legend,) = figure.legends
    box, curves = legend.get_window_extent(), panel.get_window_extent()
    assert not box.overlaps(curves)
    assert box.y1 < curves.y0
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


@pytest.mark.parametrize("epochs", [1, 2, 3, 60])
def test_epochs_are_whole_and_one_is_seen(epochs: int) -> None:
    figure = LIGHT.figure(5.0, "Curves", "of nothing")
    panel = figure.subplots()
    (line,) = panel.plot(range(1, epochs + 1), range(epochs))
    epoch_axis(panel, epochs)
    lay_out(figure)
    ticks = [float(tick) for tick in panel.get_xticks() if 0.5 <= tick <= epochs + 0.5]
    assert ticks
    assert ticks == [round(tick) for tick in ticks]
    assert (line.get_marker() == "o") == (epochs == 1)


def test_a_chart_without_names_has_no_legend() -> None:
    figure = LIGHT.figure(5.0, "Curves", "of nothing")
    legend_below(figure, figure.subplots())
    assert not figure.legends
