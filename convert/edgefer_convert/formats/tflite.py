"""TFLite files made from Keras models: integers in several ways, and float16."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from edgefer.affine import Affine
from edgefer.console import native_stderr_dropped
from edgefer.errors import ConversionError
from edgefer.litert import tflite_tensors
from edgefer_convert.formats.representative import FloatImages
from edgefer_convert.formats.tflite_graph import GraphEditor

INTEGERS = {"int8", "uint8", "int32", "int64"}
"""int32 holds biases and shapes, uint8 the images of phones; others are computed in float."""


def to_int8(model: Any, ends: Any = tf.int8) -> bytes:
    """Convert a quantization-aware Keras model to TFLite, int8 or uint8 in and out, batch 1.

    Raises `ConversionError` for a layer that TFLite has no operation for.
    """
    converter = _converter(model)
    converter.inference_input_type = converter.inference_output_type = ends
    return _converted(converter)


def to_int8_after_training(model: Any, images: FloatImages, ends: Any = tf.int8) -> bytes:
    """Convert a float Keras model to TFLite, int8 or uint8 in and out, batch 1.

    Ranges of activations are those that representative `images` show. Source of the method:
    Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient inference",
    section 3.1. Raises `ConversionError` as `to_int8` does.
    """
    converter = _by_images(model, images, tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
    converter.inference_input_type = converter.inference_output_type = ends
    return _converted(converter)


def to_int16x8(model: Any, images: FloatImages) -> bytes:
    """Convert a float Keras model to TFLite with int16 activations and int8 weights, batch 1.

    Float32 in and out; ranges as in `to_int8_after_training`. Raises `ConversionError` as
    `to_int8` does, also for operations that TFLite has in int8 alone.
    """
    kind = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    return _converted(_by_images(model, images, kind))


def to_dynamic(model: Any) -> bytes:
    """Convert a float Keras model to TFLite with int8 weights, float32 in and out, batch 1.

    A kernel quantizes its input when it runs ("dynamic range"). Raises `ConversionError` as
    `to_int8` does.
    """
    return _converted(_converter(model))


def to_float16(model: Any) -> bytes:
    """Convert a float Keras model to TFLite with float16 weights, float32 in and out, batch 1.

    Raises `ConversionError` as `to_int8` does.
    """
    converter = _converter(model)
    converter.target_spec.supported_types = [tf.float16]
    return _converted(converter)


def _by_images(model: Any, images: FloatImages, operations: Any) -> Any:
    """Return a converter that finds the ranges of activations on images."""
    converter = _converter(model)
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    converter.target_spec.supported_ops = [operations]
    return converter


def _converter(model: Any) -> Any:
    """Return a converter of the model's graph with its weights as constants.

    `from_keras_model` would write a SavedModel first, which takes ten times as long.
    """
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="picture")
    function = tf.function(lambda image: model(image, training=False))
    with _quietly():
        concrete = function.get_concrete_function(spec)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter


def _converted(converter: Any) -> bytes:
    try:
        with _quietly():
            content = bytes(converter.convert())
    except (ConverterError, RuntimeError, ValueError) as exc:
        raise ConversionError(_reason(str(exc))) from exc
    return GraphEditor.open(content, "the converter's file").pack()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the converter's log from stderr; errors come as exceptions."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), native_stderr_dropped():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)


def _reason(text: str) -> str:
    """Return a converter's error, which has several pages, in one line."""
    named = re.search(r"(?:Flex|Custom) ops: ([\w, ]+)", text) or re.search(r"'tf\.(\w+)' op", text)
    if named:
        return f"TFLite has no operation for {named[1]}: replace it by layers of Keras"
    return f"TFLite cannot express this model: {' '.join(text.split())[:160]}"


def float_tensors(content: bytes) -> tuple[str, ...]:
    """Return the names of a TFLite file's tensors that are not integers."""
    return tuple(one.name for one in tflite_tensors(content) if one.dtype not in INTEGERS)


def input_output_affine(content: bytes) -> tuple[Affine, ...]:
    """Return the quantization of an int8 file's input, and of each of its outputs."""
    tensors = (*tflite_tensors(content, "inputs"), *tflite_tensors(content, "outputs"))
    return tuple(Affine(tensor.scale, tensor.zero_point) for tensor in tensors)
