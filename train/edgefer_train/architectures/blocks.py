"""Layers that the networks share, and the heads that end in logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

layers = keras.layers
Tensor = Any
"""A Keras tensor; TensorFlow ships no types."""


def convolution(x: Tensor, filters: int, kernel: int, stride: int, name: str) -> Tensor:
    """Convolve and normalize: "same" padding, no bias, which the normalization has."""
    x = layers.Conv2D(
        filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    return normalization(x, f"{name}_bn")


def depthwise(x: Tensor, kernel: int, stride: int, name: str) -> Tensor:
    """Convolve each channel by itself and normalize: "same" padding, no bias."""
    x = layers.DepthwiseConv2D(
        kernel, stride, "same", use_bias=False, depthwise_initializer="he_normal", name=name
    )(x)
    return normalization(x, f"{name}_bn")


def normalization(x: Tensor, name: str) -> Tensor:
    """Normalize batches; the momentum is for trainings of hours, not of weeks."""
    return layers.BatchNormalization(momentum=0.95, name=name)(x)


def pooled(x: Tensor, dropout: float) -> Tensor:
    """Average each channel over the image, whatever its side: features (B, channels)."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dropout(dropout, name="dropout")(x)


def dense_head(features: Tensor, size: int, name: str) -> Tensor:
    """Return logits (B, size) of features (B, channels), in 32 bits whatever those are in."""
    return layers.Dense(size, dtype="float32", name=name)(features)


def as_outputs(heads: Mapping[str, Any]) -> Any:
    """Return what stands for the heads in Keras: a dict of several, but one by itself."""
    return dict(heads) if len(heads) > 1 else next(iter(heads.values()))


def one_head(model: Any, head: str) -> Any:
    """Return the part of a model that ends in one head's logits."""
    return keras.Model(model.input, model.get_layer(head).output, name=model.name)
