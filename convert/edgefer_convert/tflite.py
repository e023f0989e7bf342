"""From a model with fake quantization to an int8 TFLite file."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edgefer.affine import Affine
from edgefer.errors import ConversionError
from edgefer.runtime import Tensor, tflite_tensors

ALLOWED = {"int8", "int32", "int64"}
"""int32 holds biases and shapes; anything else would be computed in float."""


def to_int8(model: Any) -> bytes:
    """Convert a quantization-aware Keras model to TFLite, int8 in and out, batch 1.

    Raises `ConversionError` when a tensor is left that is not an integer.
    """
    shape = (1, *model.input_shape[1:])
    function = tf.function(model.call).get_concrete_function(
        tf.TensorSpec(shape, tf.float32, name="picture"), training=False
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    content = bytes(converter.convert())
    require_integer(tflite_tensors(content))
    return content


def require_integer(tensors: list[Tensor]) -> None:
    """Raise `ConversionError`, naming the tensors, unless all are integers."""
    left = [tensor.name for tensor in tensors if tensor.dtype not in ALLOWED]
    if left:
        raise ConversionError(
            f"{len(left)} tensors are not int8 after conversion, first '{left[0]}'; "
            "annotate the layer for quantization or replace it"
        )


def input_affine(content: bytes) -> Affine:
    """Return the quantization of an int8 file's input."""
    return _affine(content, "inputs")


def output_affine(content: bytes) -> Affine:
    """Return the quantization of an int8 file's output."""
    return _affine(content, "outputs")


def _affine(content: bytes, end: str) -> Affine:
    (tensor,) = tflite_tensors(content, end)
    return Affine(scale=tensor.scale, zero_point=tensor.zero_point)
