"""The networks, by name: each maps a 48x48 grey picture to features that heads read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import tf_keras as keras

from edgefer.errors import SettingsError
from edgefer_train.dataset import SIDE

layers = keras.layers
Tensor = Any
"""A Keras tensor; TensorFlow ships no types."""


def _convolution(x: Tensor, filters: int, kernel: int, stride: int, name: str) -> Tensor:
    x = layers.Conv2D(
        filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    return layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x)


def _residual(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, figure 2).

    The last scale does not start at zero (Goyal et al. 2017, 5.1): in a net of three
    blocks that held training at the majority class for two epochs.
    """
    y = _convolution(x, filters, 3, stride, f"{name}_a")
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = _convolution(y, filters, 3, 1, f"{name}_b")
    if stride != 1 or x.shape[-1] != filters:
        x = _convolution(x, filters, 1, stride, f"{name}_short")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def small(picture: Tensor) -> Tensor:
    """Plain residual net: 3x3 kernels, which Arm's int8 kernels and a CPU trainer do best.

    The stem halves the picture at once: few channels at 48x48 cost more time than they earn.
    """
    x = _convolution(picture, 32, 5, 2, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for name, filters, stride in (
        ("block1", 32, 1),
        ("block2", 64, 2),
        ("block3", 64, 1),
        ("block4", 128, 2),
        ("block5", 128, 1),
    ):
        x = _residual(x, filters, stride, name)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dropout(0.3, name="dropout")(x)


ARCHITECTURES: dict[str, Callable[[Tensor], Tensor]] = {"small": small}


def build(architecture: str, heads: Mapping[str, int], side: int | None = SIDE) -> Any:
    """Return a `tf_keras.Model` from pictures (B, side, side, 1) in 0..1 to logits, by head.

    The outputs are a dict by head, or one tensor where there is one head. Without a `side`
    the model takes any; not every architecture can.
    Raises `SettingsError` for an architecture that is not in the registry.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SettingsError(f"unknown architecture '{architecture}'; known: {known}")
    picture = layers.Input((side, side, 1), name="picture")
    features = ARCHITECTURES[architecture](picture)
    outputs = {name: layers.Dense(size, name=name)(features) for name, size in heads.items()}
    return keras.Model(picture, unwrapped(outputs), name=architecture)


def unwrapped(heads: Mapping[str, Any]) -> Any:
    """Return what stands for the heads in Keras: a dict of several, but one by itself."""
    return dict(heads) if len(heads) > 1 else next(iter(heads.values()))


def one_head(model: Any, head: str) -> Any:
    """Return the part of a model that ends in one head's logits."""
    return keras.Model(model.input, model.get_layer(head).output, name=model.name)


def parameters(model: Any) -> int:
    """Return the number of weights, those folded at conversion left out."""
    kept = [layer for layer in model.layers if not isinstance(layer, layers.BatchNormalization)]
    return sum(math.prod(w.shape) for layer in kept for w in layer.trainable_weights)


def macs(model: Any) -> int:
    """Return the multiply-accumulates of one inference in convolutions and dense layers."""
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_macs(layer: Any) -> int:
    """The kernel is used once a position: at each pixel, or once in a dense layer."""
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel, pixels = layer.depthwise_kernel.shape, layer.output_shape[1:3]
    elif isinstance(layer, layers.Conv2D):
        kernel, pixels = layer.kernel.shape, layer.output_shape[1:3]
    elif isinstance(layer, layers.Dense):
        kernel, pixels = layer.kernel.shape, ()
    else:
        return 0
    return int(math.prod(pixels) * math.prod(kernel))
