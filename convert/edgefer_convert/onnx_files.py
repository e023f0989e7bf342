"""The two ONNX files: float32 from Keras, int8 (QDQ) from the int8 TFLite file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf2onnx

OPSET = 17
"""Newest that JetPack 6's TensorRT and onnxruntime 1.23 both read."""


def to_onnx(model: Any) -> bytes:
    """Convert a float Keras model to ONNX: `picture` float32 (1, 48, 48, 1) to logits."""
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="picture")
    proto, _ = tf2onnx.convert.from_keras(model, input_signature=[spec], opset=OPSET)
    return bytes(proto.SerializeToString(deterministic=True))


def to_int8_onnx(tflite: bytes) -> bytes:
    """Convert an int8 TFLite file to ONNX with QuantizeLinear / DequantizeLinear pairs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        proto, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    # tf2onnx names the graph after the file: the same model must give the same bytes.
    proto.graph.name, proto.graph.doc_string = "model", ""
    return bytes(proto.SerializeToString(deterministic=True))
