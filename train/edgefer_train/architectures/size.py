"""How large a network is."""

from __future__ import annotations

import math
from typing import Any

from edgefer_train.architectures.blocks import layers
from edgefer_train.quantization.graph import Graph


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
    if isinstance(layer, layers.SeparableConv2D):
        # The depthwise part has the output's side too, whatever the stride.
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return int(math.prod(layer.output_shape[1:3]) * kernels)
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel, pixels = layer.depthwise_kernel.shape, layer.output_shape[1:3]
    elif isinstance(layer, layers.Conv2D):
        kernel, pixels = layer.kernel.shape, layer.output_shape[1:3]
    elif isinstance(layer, layers.Dense):
        kernel, pixels = layer.kernel.shape, ()
    else:
        return 0
    return int(math.prod(pixels) * math.prod(kernel))
