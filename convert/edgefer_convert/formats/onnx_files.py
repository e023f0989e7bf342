"""ONNX files made from a Keras model, and counts of what an ONNX file holds."""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx
from onnx import shape_inference

from edgefer.runtime import without_chatter
from edgefer_convert.formats.onnx_names import canonical

OPSET = 17
"""Newest that JetPack 6's TensorRT and onnxruntime 1.23 both read."""

INPUT, OUTPUT = ["picture"], ["logits"]


def to_onnx(model: Any) -> bytes:
    """Convert a float Keras model to ONNX: `picture` float32 (1, side, side, 1) to logits."""
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="picture")
    function = tf.function(lambda picture: model(picture, training=False))
    proto, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=OPSET)
    return to_bytes(canonical(proto, INPUT, OUTPUT))


def to_int8_onnx(tflite: bytes) -> bytes:
    """Convert an int8 TFLite file to ONNX with QuantizeLinear / DequantizeLinear pairs."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), without_chatter():
        # TensorFlow's interpreter, which tf2onnx reads the file with, would rather be LiteRT.
        warnings.simplefilter("ignore", UserWarning)
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        proto, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    return to_bytes(canonical(proto, INPUT, OUTPUT))


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model: the same for the same model."""
    return bytes(model.SerializeToString(deterministic=True))


def parameters(content: bytes) -> int:
    """Return the number of weights in a float ONNX file: its real constants with a shape."""
    constants = onnx.load_model_from_string(content).graph.initializer
    real = (item for item in constants if item.data_type == onnx.TensorProto.FLOAT)
    return sum(size for size in (math.prod(item.dims) for item in real) if size > 1)


COUNTED = ("Conv", "Gemm", "MatMul")
"""What counts as multiply-accumulates, as in `edgefer_train.architectures.macs`."""


def macs(content: bytes) -> int:
    """Return the multiply-accumulates of one inference in an ONNX file's convolutions and
    dense layers; a shape that cannot be inferred counts for nothing."""
    graph = shape_inference.infer_shapes(onnx.load_model_from_string(content)).graph
    shapes = {item.name: tuple(item.dims) for item in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        sides = value.type.tensor_type.shape.dim
        shapes.setdefault(value.name, tuple(side.dim_value for side in sides))
    return sum(_macs(node, shapes) for node in graph.node if node.op_type in COUNTED)


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Each output is a sum over the weights that lead to it: all but the weights' own axis."""
    weights, output = shapes.get(node.input[1], ()), shapes.get(node.output[0], ())
    if not weights or not output:
        return 0
    # Weights are (out, in, height, width) or a matrix with one side the outputs.
    own = weights[0] if node.op_type == "Conv" else output[-1]
    return math.prod(output) * math.prod(weights) // max(own, 1)
