"""Layers that stand for others in int8, where TFLite has no operation for those."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

layers = keras.layers


class IntegerElu(keras.layers.Layer):
    """ELU (Clevert et al. 2016) from what TFLite does in int8: max(x, exp(min(x, 0)) - 1).

    Its own ELU stays in float when it is converted. The ranges inside are known.
    """

    def call(self, x: Any) -> Any:
        """Return the ELU of x, its negative part in steps of 1/255."""
        below = tf.exp(tf.minimum(x, 0.0))
        below = tf.quantization.fake_quant_with_min_max_args(below, 0.0, 1.0)
        below = tf.quantization.fake_quant_with_min_max_args(below - 1.0, -1.0, 0.0)
        return tf.maximum(x, below)


def per_channel(layer: Any) -> list[Any]:
    """Return the layers that do what a batch normalization or a Rescaling does at inference.

    A depthwise convolution of one pixel has a scale of its own for each channel's weight, so
    that int8 costs nothing; features without pixels (B, C) become one pixel and back.
    """
    scale, shift = _line(layer)
    name, channels = layer.name, len(scale)
    pixel = layers.DepthwiseConv2D(1, name=name, trainable=layer.trainable)
    with tf.name_scope(name):
        pixel.build((None, None, None, channels))
    pixel.set_weights([scale.reshape(1, 1, channels, 1), shift])
    if len(layer.output_shape) == 4:
        return [pixel]
    before = layers.Reshape((1, 1, channels), name=f"{name}_pixel")
    return [before, pixel, layers.Reshape((channels,), name=f"{name}_features")]


def folded_dense(dense: Any, normalization: Any) -> Any:
    """Return the dense layer, by the other's name, that does what the two do at inference."""
    scale, shift = _line(normalization)
    kernel, *bias = dense.get_weights()
    made = layers.Dense(dense.units, name=normalization.name, trainable=dense.trainable)
    with tf.name_scope(made.name):
        made.build(dense.input_shape)
    made.set_weights([kernel * scale, shift + (bias[0] * scale if bias else 0)])
    return made


def _line(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (C,) of each channel."""
    channels = layer.output_shape[-1]
    if isinstance(layer, layers.Rescaling):
        given = layer.scale, layer.offset
        scale, shift = (np.broadcast_to(np.float32(one), (channels,)) for one in given)
        return scale, shift
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    gamma = layer.gamma.numpy() if layer.scale else np.ones(channels, np.float32)
    beta = layer.beta.numpy() if layer.center else np.zeros(channels, np.float32)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale, beta - mean * scale
