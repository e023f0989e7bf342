"""Quantization sensitivity as a table, and as a chart of costs and errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from rich.table import Table
from rich.text import Text

from edgefer.terminal import Terminal, styled
from edgefer.theme import LIGHT, as_png
from edgefer_convert.analysis.sensitivity import Cost, Layer, Sensitivity, Step

SHOWN = 20
"""Layers in the table and in the chart; the others cost less."""


def show_sensitivity(sensitivity: Sensitivity) -> None:
    """Print the steps from float to int8 and the layers that cost most."""
    console = Terminal()
    console.print(styled((sensitivity.model, "bold"), f": {_measured_on(sensitivity)}"))
    console.print(_steps(sensitivity.steps))
    console.print(_layers(sensitivity.layers))
    worst = ", ".join(f"{one.name} ({_points(one.cost)} points)" for one in sensitivity.layers[:3])
    console.print(f"most sensitive layers: {worst}")


def _measured_on(sensitivity: Sensitivity) -> str:
    return f"{sensitivity.n:,} faces, {sensitivity.faces}"


def _steps(steps: Sequence[Step]) -> Table:
    table = Table("step", "same label", "change, points", title="from float to int8")
    for step in steps:
        table.add_row(step.name, f"{step.agreement:.2%}", _points(step.change))
    return table


def _layers(layers: Sequence[Layer]) -> Table:
    table = Table("layer", "output", "error", "accumulated", "clipped", "outputs", "weights")
    table.title = "cost of each layer alone, in points; share of changed labels below"
    for layer in layers[:SHOWN]:
        table.add_row(
            styled(f"{layer.name}\n", (layer.op, "dim")),
            "x".join(map(str, layer.shape)),
            f"{layer.rounding:.2%}",
            f"{layer.accumulated:.2%}",
            f"{layer.clipped:.2%}" if layer.clipped >= 0.0001 else "",
            _cost(layer.activations),
            _cost(layer.weights) if layer.weights else "",
        )
    if len(layers) > SHOWN:
        rest = sum(layer.cost for layer in layers[SHOWN:])
        table.caption = f"{len(layers) - SHOWN} more, together {_points(rest)} points; --json: all"
    return table


def _cost(cost: Cost) -> Text:
    return styled(f"{_points(cost.change)}\n", (f"{cost.labels:.1%}", "dim"))


def _points(share: float) -> str:
    return f"{100 * share:.3f}"


def draw_sensitivity(sensitivity: Sensitivity) -> bytes:
    """Return a PNG: the cost of each layer, and the error from the first to the last."""
    costly = sensitivity.layers[:SHOWN]
    with LIGHT.applied():
        figure = LIGHT.figure(
            2.4 + 0.3 * len(costly) + 3.6,
            f"Quantization sensitivity: {sensitivity.model}",
            _measured_on(sensitivity),
        )
        ratios = [1.0 + 0.3 * len(costly), 3.6]
        costs, errors = figure.subplots(2, 1, height_ratios=ratios)
        _draw_costs(costs, costly)
        _draw_errors(errors, sorted(sensitivity.layers, key=lambda layer: layer.place))
        return as_png(figure)


def _draw_costs(panel: Axes, layers: Sequence[Layer]) -> None:
    rows = np.arange(len(layers))
    outputs = [100 * layer.activations.change for layer in layers]
    weights = [100 * layer.weights.change if layer.weights else 0.0 for layer in layers]
    panel.barh(rows, outputs, color=LIGHT.series[0], label="outputs, rounded to int8")
    panel.barh(rows, weights, left=outputs, color=LIGHT.series[1], label="weights, estimated")
    panel.set_yticks(rows, [layer.name for layer in layers])
    panel.invert_yaxis()
    panel.set_title("Cost of each layer alone", loc="left")
    panel.set_xlabel("mean change of a label's probability, points")
    panel.legend(loc="lower right")
    panel.grid(axis="x")
    panel.set_axisbelow(True)


def _draw_errors(panel: Axes, layers: Sequence[Layer]) -> None:
    places = np.arange(len(layers))
    grown = [100 * layer.accumulated for layer in layers]
    alone = [100 * layer.rounding for layer in layers]
    panel.plot(places, grown, "-o", color=LIGHT.series[2], label="accumulated")
    panel.plot(places, alone, "--o", color=LIGHT.series[0], label="its own rounding")
    panel.set_ylim(bottom=0)
    every = max(1, len(layers) // SHOWN)
    panel.set_xticks(places[::every], [layer.name for layer in layers][::every], rotation=90)
    panel.set_title("Error from the first layer to the last", loc="left")
    panel.set_ylabel("error of the output, %")
    panel.legend()
    panel.grid(axis="y")
