"""Fake quantization of a whole network, layer by layer, so that all of it becomes int8.

The wrappers, quantizers and ranges are tfmot's (Jacob et al. 2018, section 3), and for a
plain residual net the result is that of its `quantize_model`. That function, though, refuses
ELU, Multiply, Rescaling and a batch normalization with no convolution before it, leaves the
weights of a convolution in float where a ReLU layer follows, and lets some branches of
InceptionV3 stay in float; here each layer is given what TFLite's int8 operations do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from tensorflow_model_optimization.python.core.quantization.keras import (
    quantize_aware_activation,
    quantize_layer,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_configs,
    default_8bit_quantize_registry,
)

from edgefer.errors import ConversionError
from edgefer_train.architectures.graph import KERNEL, Graph, is_linear

layers = keras.layers
Output = default_8bit_quantize_configs.Default8BitOutputQuantizeConfig
Nothing = default_8bit_quantize_configs.NoOpQuantizeConfig
REGISTRY = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
AllValues = tfmot.quantization.keras.quantizers.AllValuesQuantizer

FUSED = ("linear", "relu", "softmax", "sigmoid", "tanh")
"""Activations that a convolution or dense layer may have of its own."""
WRAPPED = ("output", "post_activation")
"""How tfmot names the ranges of a layer's output."""


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


def prepare_for_quantization(float_model: Any) -> Any:
    """Return a copy of a float Keras model with fake quantization, for fine-tuning and int8.

    It starts with the float model's weights; every range waits for `set_ranges` or
    for training. Layers keep their names behind `quant_`. Raises `ConversionError`, naming
    the layer, where one has no int8 form. Kernels of frozen layers follow the fine-tuning
    too: tfmot trains all that it quantizes.
    """
    graph = Graph(float_model)
    swishes = _inside_hard_swishes(graph)
    made: dict[str, Any] = {}
    inputs = []
    for layer in float_model.layers:
        if isinstance(layer, layers.InputLayer):
            inputs.append(layers.Input(layer.input_shape[0][1:], name=layer.name))
            made[layer.name] = _quantized_input(inputs[-1], len(inputs))
            continue
        x = tf.nest.map_structure(lambda t: made[t.node.layer.name], graph.inputs(layer))
        for part in _parts(layer, graph, swishes):
            x = part(x)
        made[layer.name] = x
    outputs = tf.nest.map_structure(lambda t: made[t.node.layer.name], float_model.output)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=float_model.name)


def load_quantized(path: Path) -> Any:
    """Return a saved model that `prepare_for_quantization` made."""
    with tfmot.quantization.keras.quantize_scope({"IntegerElu": IntegerElu}):
        return keras.models.load_model(path, compile=False)


def _quantized_input(image: Any, count: int) -> Any:
    quantizer = AllValues(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
    name = "quantize_layer" if count == 1 else f"quantize_layer_{count}"
    return quantize_layer.QuantizeLayer(quantizer, name=name)(image)


def _parts(layer: Any, graph: Graph, swishes: frozenset[str]) -> list[Any]:
    """The layers with fake quantization that stand for one of the float model, in order."""
    if layer.name in swishes:
        return [_wrapped(_copied(layer), Nothing())]
    if _is_scale(layer, graph):
        return [_wrapped(part) for part in per_channel(layer)]
    if _is_elu(layer):
        return [_wrapped(IntegerElu(name=layer.name), Output())]
    if isinstance(layer, KERNEL):
        return _kernel_parts(layer, graph)
    if _follows_dense(layer, graph):
        dense = folded_dense(graph.producer(layer), layer)
        return [_wrapped(_bare(dense) if _rectified(layer, graph) else dense)]
    return [_wrapped(_copied(layer), _config(layer, graph))]


def _kernel_parts(layer: Any, graph: Graph) -> list[Any]:
    _require_fused_activation(layer)
    normalized = is_linear(layer) and _normalized(layer, graph)
    if normalized and isinstance(layer, layers.Dense):
        return []  # It comes with its normalization: TFLite folds the two only in float.
    bare = normalized or (is_linear(layer) and _rectified(layer, graph))
    return [_wrapped(_bare(_copied(layer)) if bare else _copied(layer))]


def _bare(layer: Any) -> Any:
    """The layer without a range of its own, since what follows becomes a part of it."""
    layer.activation = quantize_aware_activation.NoOpActivation()
    return layer


def _follows_dense(layer: Any, graph: Graph) -> bool:
    is_normalization = isinstance(layer, layers.BatchNormalization)
    return is_normalization and isinstance(graph.producer(layer), layers.Dense)


def _config(layer: Any, graph: Graph) -> Any:
    """The config of a layer without a kernel; None is tfmot's own for its kind."""
    if isinstance(layer, (layers.BatchNormalization, layers.Add)):
        return Nothing() if _rectified(layer, graph) else Output()
    if isinstance(layer, layers.AveragePooling2D):
        return Nothing()  # TFLite's has the range of what it averages, and no other.
    return Output() if isinstance(layer, layers.Multiply) else None


def _wrapped(layer: Any, config: Any = None) -> Any:
    try:
        config = config or REGISTRY.get_quantize_config(layer)
        config.get_output_quantizers(layer)
    except ValueError as exc:
        raise ConversionError(
            f"layer '{layer.name}' ({type(layer).__name__}) has no int8 form; replace it by "
            "layers of edgefer's own architectures"
        ) from exc
    return tfmot.quantization.keras.QuantizeWrapperV2(layer, config)


def _copied(layer: Any) -> Any:
    """The layer again, with its weights, free of the model that it is in."""
    copy = type(layer).from_config(layer.get_config())
    if layer.weights:
        with tf.name_scope(layer.name):
            copy.build(layer.input_shape)
        copy.set_weights(layer.get_weights())
    return copy


def _require_fused_activation(layer: Any) -> None:
    name = keras.activations.serialize(layer.activation)
    if name not in FUSED:
        raise ConversionError(
            f"layer '{layer.name}' ({type(layer).__name__}) has the activation {name}, which "
            "int8 needs a range before; make it a layer of its own"
        )


def _normalized(layer: Any, graph: Graph) -> bool:
    return isinstance(graph.consumer(layer), layers.BatchNormalization)


def _rectified(layer: Any, graph: Graph) -> bool:
    """Whether TFLite makes the ReLU that follows a part of this layer's operation."""
    after = graph.consumer(layer)
    if isinstance(after, layers.ReLU):
        return not after.negative_slope and not after.threshold and after.max_value in (None, 6)
    name = getattr(after, "activation", None)
    return isinstance(after, layers.Activation) and name in (keras.activations.relu, tf.nn.relu6)


def _is_elu(layer: Any) -> bool:
    if isinstance(layer, layers.ELU):
        return bool(np.all(layer.alpha == 1))
    return isinstance(layer, layers.Activation) and layer.activation == keras.activations.elu


def _is_scale(layer: Any, graph: Graph) -> bool:
    """Whether a layer scales and shifts each channel and nothing before it takes that up."""
    if isinstance(layer, layers.BatchNormalization):
        return not graph.folded(layer)
    return isinstance(layer, layers.Rescaling)


def _inside_hard_swishes(graph: Graph) -> frozenset[str]:
    """The names of the layers on the way from an x to its product x ReLU6(x + 3) / 6.

    TFLite has one operation for the whole; a range inside would break it up.
    """
    products = [one for one in graph.model.layers if isinstance(one, layers.Multiply)]
    return frozenset(
        part.name for product in products for part in _hard_swish_parts(product, graph)
    )


def _hard_swish_parts(product: Any, graph: Graph) -> list[Any]:
    """The three layers between x and a product, or none where it is no hard swish."""
    tensors = graph.inputs(product)
    down = tensors[-1].node.layer
    gate = graph.producer(down) if _rescales(down, 1 / 6, 0) else None
    is_gate = isinstance(gate, layers.ReLU) and gate.max_value == 6
    up = graph.producer(gate) if is_gate else None
    if up is None or not _rescales(up, 1, 3) or graph.inputs(up) is not tensors[0]:
        return []
    return [up, gate, down]


def _rescales(layer: Any, scale: float, offset: float) -> bool:
    return isinstance(layer, layers.Rescaling) and np.allclose(
        (layer.scale, layer.offset), (scale, offset)
    )


def set_ranges(quantized: Any, source: Any, images: np.ndarray) -> None:
    """Start every activation's range at what the float model shows on `images`.

    tfmot starts each range at -6..6 and moves it by a thousandth a step: after the few
    epochs of a fine-tuning a third of the 256 levels would still be spent on nothing.
    `quantized` was made from `source`; images are float32 (N, 48, 48, 1) in 0..1.
    """
    ranges = {}
    for layer in quantized.layers:
        weights = {weight.name.split("/")[-1]: weight for weight in layer.weights}
        for kind in WRAPPED:
            if f"{kind}_min:0" in weights:
                pair = weights[f"{kind}_min:0"], weights[f"{kind}_max:0"]
                ranges[layer.layer.name] = pair
    outputs = {name: source.get_layer(name).output for name in ranges}
    seen = keras.Model(source.input, outputs).predict(images, verbose=0)
    for name, (low, high) in ranges.items():
        # Zero must stay exact: padding and ReLU rest on it.
        low.assign(min(0.0, float(seen[name].min())))
        high.assign(max(0.0, float(seen[name].max())))
    _set_input(quantized)


def _set_input(quantized: Any) -> None:
    """Grey levels are 0..1 whatever the images show, so int8 is the level less 128 exactly."""
    limits = {"min": 0.0, "max": 1.0}
    for weight in quantized.get_layer("quantize_layer").weights:
        end = weight.name.removesuffix(":0")[-3:]
        if end in limits:
            weight.assign(limits[end])
