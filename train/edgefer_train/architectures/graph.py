"""Graph of the layers of a Keras model: producers, consumers, folded normalizations."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgefer.errors import ConversionError

layers = keras.layers
KERNEL = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
"""Layers whose kernel a batch normalization folds into."""


class Graph:
    """The layers of one functional model, each used once.

    Raises `ConversionError` for a model that holds another model, or a layer twice.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        names = {layer.name for layer in model.layers}
        for layer in model.layers:
            _require_plain(layer)
        self._consumers = {
            layer.name: [node.layer for node in layer.outbound_nodes if node.layer.name in names]
            for layer in model.layers
        }

    def inputs(self, layer: Any) -> Any:
        """Return the tensors that a layer is called on: one, or a list."""
        return layer.inbound_nodes[0].call_args[0]

    def producer(self, layer: Any) -> Any:
        """Return the layer that feeds this one, or None unless there is exactly one."""
        tensors = self.inputs(layer) if not isinstance(layer, layers.InputLayer) else ()
        return None if isinstance(tensors, (list, tuple)) else tensors.node.layer

    def consumer(self, layer: Any) -> Any:
        """Return the layer that this one feeds, or None unless there is exactly one."""
        found = self._consumers[layer.name]
        return found[0] if len(found) == 1 else None

    def folded(self, layer: Any) -> bool:
        """Return whether a batch normalization becomes part of the kernel before it."""
        before = self.producer(layer)
        return isinstance(before, KERNEL) and is_linear(before) and self.consumer(before) is layer


def is_linear(layer: Any) -> bool:
    """Return whether a convolution or dense layer has no activation of its own."""
    return bool(layer.activation == keras.activations.linear)


def _require_plain(layer: Any) -> None:
    kind = type(layer).__name__
    if isinstance(layer, keras.Model):
        raise ConversionError(f"layer '{layer.name}' is a model itself; give its layers one by one")
    if len(layer.inbound_nodes) != 1:
        raise ConversionError(f"layer '{layer.name}' ({kind}) is used twice; give each use its own")
