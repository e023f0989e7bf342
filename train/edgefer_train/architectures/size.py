"""Size of the networks: weights, multiply-accumulates, and all of them in a table."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from rich.table import Table

from edgefer.labels import FER2013
from edgefer.terminal import Terminal
from edgefer_train.architectures.blocks import layers
from edgefer_train.architectures.graph import Graph
from edgefer_train.architectures.registry import ARCHITECTURES, build


class Description(msgspec.Struct, frozen=True):
    """One network with a head of seven labels."""

    name: str
    side: int
    """Of the images that its recipe trains on, pixels."""
    parameters: int
    """Weights, those folded at conversion left out."""
    mmacs: float
    """Millions of multiply-accumulates of one inference."""
    source: str


def describe_architectures() -> list[Description]:
    """Return the size of every network in the registry; each is built for that."""
    described = []
    for name, one in ARCHITECTURES.items():
        model = build(name, {"fer2013": len(FER2013)}, one.side)
        size = parameters(model), macs(model) / 1e6
        described.append(Description(name, one.side, *size, one.source))
    return described


def show_architectures() -> None:
    """Print the networks as a table."""
    table = Table("architecture", "side", "parameters", "MMAC", "source")
    for column in table.columns[1:4]:
        column.justify = "right"
    for one in describe_architectures():
        figures = str(one.side), f"{one.parameters:,}", f"{one.mmacs:.1f}"
        table.add_row(one.name, *figures, one.source)
    Terminal().print(table)


def parameters(model: Any) -> int:
    """Return the number of weights, those folded at conversion left out.

    A normalization that no convolution before it takes up counts as a scale and a shift
    for each channel. Frozen weights count like others.
    """
    graph = Graph(model)
    return sum(_layer_parameters(layer, graph) for layer in model.layers)


def macs(model: Any) -> int:
    """Return the multiply-accumulates of one inference in convolutions and dense layers.

    The model's side must be fixed.
    """
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_parameters(layer: Any, graph: Graph) -> int:
    if isinstance(layer, layers.BatchNormalization):
        return 0 if graph.folded(layer) else 2 * int(layer.output_shape[-1])
    return sum(math.prod(weight.shape) for weight in layer.weights)


def _layer_macs(layer: Any) -> int:
    """The kernel is used once a position: at each pixel, or once in a dense layer."""
    # A separable one's depthwise part has the output's side too, whatever the stride.
    names = ("depthwise_kernel", "pointwise_kernel", "kernel")
    kernels = [getattr(layer, name) for name in names if getattr(layer, name, None) is not None]
    return int(math.prod(layer.output_shape[1:-1]) * sum(math.prod(k.shape) for k in kernels))
