"""From Keras models to TFLite files: int8 in two ways, and float16."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert_phase import ConverterError

from edgefer.affine import Affine
from edgefer.errors import ConversionError
from edgefer.runtime import Tensor, tflite_tensors, without_chatter
from edgefer.tflite_file import open_flatbuffer
from edgefer_convert.formats.packing import packed

INTEGERS = {"int8", "uint8", "int32", "int64"}
"""int32 holds biases and shapes, uint8 the pictures of phones; others are computed in float."""


def to_int8(model: Any) -> bytes:
    """Convert a quantization-aware Keras model to TFLite, int8 in and out, batch 1.

    Raises `ConversionError` for a layer that TFLite has no operation for.
    """
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return _converted(converter)


def to_int8_after_training(model: Any, pictures: NDArray[np.float32]) -> bytes:
    """Convert a float Keras model to TFLite, int8 in and out, batch 1.

    Ranges of activations are what `pictures` (N, side, side, 1) in 0..1 show. Source of
    the method: Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient
    inference", section 3.1. Raises `ConversionError` as `to_int8` does.
    """

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for picture in pictures:
            yield [picture[np.newaxis]]

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return _converted(converter)


def to_float16(model: Any) -> bytes:
    """Convert a float Keras model to TFLite with float16 weights, float32 in and out, batch 1.

    Raises `ConversionError` as `to_int8` does.
    """
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _converted(converter)


def _converter(model: Any) -> Any:
    """A converter of the model's graph with its weights as constants.

    TensorFlow would rather be given the model too and write it out as a SavedModel first:
    of an architecture of ours that takes ten times as long, and space on the disk.
    """
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="picture")
    function = tf.function(lambda picture: model(picture, training=False))
    with _quietly():
        return tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function(spec)]
        )


def _converted(converter: Any) -> bytes:
    try:
        with _quietly():
            content = bytes(converter.convert())
    except (ConverterError, RuntimeError, ValueError) as exc:
        raise ConversionError(_reason(str(exc))) from exc
    return packed(open_flatbuffer(content, "the converter's file"))


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the converter says of itself from stderr; what goes wrong is an exception."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), without_chatter():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)


def _reason(text: str) -> str:
    """A converter's error in one line; it says several pages."""
    named = re.search(r"(?:Flex|Custom) ops: ([\w, ]+)", text) or re.search(r"'tf\.(\w+)' op", text)
    if named:
        return f"TFLite has no operation for {named[1]}: replace it by layers of Keras"
    return f"TFLite cannot express this model: {' '.join(text.split())[:160]}"


def float_tensors(content: bytes) -> tuple[str, ...]:
    """Return the names of a TFLite file's tensors that are not integers."""
    return tuple(left.name for left in tflite_tensors(content) if not _is_integer(left))


def _is_integer(tensor: Tensor) -> bool:
    return tensor.dtype in INTEGERS


def input_affine(content: bytes) -> Affine:
    """Return the quantization of an int8 file's input."""
    return _affine(content, "inputs")


def output_affine(content: bytes) -> Affine:
    """Return the quantization of an int8 file's output."""
    return _affine(content, "outputs")


def _affine(content: bytes, end: str) -> Affine:
    (tensor,) = tflite_tensors(content, end)
    return Affine(scale=tensor.scale, zero_point=tensor.zero_point)
