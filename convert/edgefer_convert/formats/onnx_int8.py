"""int8 ONNX files made by onnxruntime's static quantization after training.

Weights have a scale for each channel and go from -127 to 127, activations one for the tensor;
their ranges are those of representative images.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgefer.affine import Affine
from edgefer.errors import ConversionError
from edgefer_convert.formats.onnx_files import COUNTED, INPUT, canonical_bytes
from edgefer_convert.formats.representative import FloatImages

PERCENTILE = 99.99
"""Of an activation's values, what a symmetric range holds: after a ReLU it has 127 steps, too few
to spend on the rarest. On PublicTest `tiny` keeps 98.2 % of float's labels, by the largest value
97.3 %, by 99.999 98.1 %, by entropy 97.3 %."""

LAYOUT = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")
"""Nodes that only arrange values, and do so with integers as well."""


def to_symmetric(content: bytes, images: FloatImages) -> bytes:
    """Quantize a float ONNX file as TensorRT wants it, float32 in and out.

    The inputs of layers with weights are rounded and nothing else, so that TensorRT may fuse
    what follows; every zero point is 0, and biases stay float. Source: TensorRT's developer
    guide, "Working with quantized types".
    """
    kinds = list(COUNTED)
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": kinds,
        "CalibPercentile": PERCENTILE,
    }
    return canonical_bytes(
        _quantized(content, images, options, kinds, CalibrationMethod.Percentile)
    )


def to_int8(content: bytes, images: FloatImages) -> bytes:
    """Quantize a float ONNX file, int8 in and out.

    Raises `ConversionError` when an end of the graph was left in float.
    """
    model = _quantized(content, images, {"WeightSymmetric": True})
    _make_input_int8(model.graph)
    _make_output_int8(model.graph)
    return canonical_bytes(model)


def input_output_affine(content: bytes) -> tuple[Affine, ...]:
    """Return the quantization of an int8 ONNX file's input, and of each of its outputs."""
    graph = onnx.load_model_from_string(content).graph
    last = (_affine(graph, _last_node(graph, end.name)) for end in graph.output)
    return _affine(graph, _first_node(graph)), *last


def _quantized(
    content: bytes,
    images: FloatImages,
    options: Mapping[str, object],
    kinds: list[str] | None = None,
    ranges: CalibrationMethod = CalibrationMethod.MinMax,
) -> onnx.ModelProto:
    # onnxruntime prints what it does.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        given, prepared, done = (Path(folder) / f"{name}.onnx" for name in ("a", "b", "c"))
        given.write_bytes(content)
        # Folds batch normalization into the convolutions before them.
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(done),
            _Calibration(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=kinds,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=ranges,
            extra_options=options,
        )
        return onnx.load(str(done))


class _Calibration(CalibrationDataReader):
    """Images for onnxruntime, one a run."""

    def __init__(self, images: FloatImages) -> None:
        self._left = iter(images)

    def get_next(self) -> dict[str, FloatImages] | None:
        """Return the next input, or None after the last."""
        image = next(self._left, None)
        return None if image is None else {INPUT: image[np.newaxis]}


def _first_node(graph: onnx.GraphProto) -> onnx.NodeProto:
    """Return the first node that computes."""
    name = graph.input[0].name
    while True:
        node: onnx.NodeProto = next(one for one in graph.node if name in one.input)
        if node.op_type not in LAYOUT:
            return node
        name = node.output[0]


def _last_node(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    """Return the last node that computes an output."""
    while True:
        node: onnx.NodeProto = next(one for one in graph.node if name in one.output)
        if node.op_type not in LAYOUT:
            return node
        name = node.input[0]


def _make_input_int8(graph: onnx.GraphProto) -> None:
    """Remove the first QuantizeLinear: its int8 output becomes the graph's input."""
    node = _first_node(graph)
    _require("QuantizeLinear", node, "input")
    end, inside = node.input[0], node.output[0]
    graph.node.remove(node)
    for reader in graph.node:
        reader.input[:] = [end if name == inside else name for name in reader.input]
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT8


def _make_output_int8(graph: onnx.GraphProto) -> None:
    """Remove the last DequantizeLinear: its int8 input becomes the graph's output."""
    node = _last_node(graph, graph.output[0].name)
    _require("DequantizeLinear", node, "output")
    inside, end = node.input[0], node.output[0]
    graph.node.remove(node)
    for other in graph.node:
        other.output[:] = [end if name == inside else name for name in other.output]
        other.input[:] = [end if name == inside else name for name in other.input]
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT8


def _require(kind: str, node: onnx.NodeProto, end: str) -> None:
    if node.op_type != kind:
        raise ConversionError(
            f"onnxruntime left the {end} of the model in float, at {node.op_type}; "
            "begin and end the model with convolutions or dense layers"
        )


def _affine(graph: onnx.GraphProto, node: onnx.NodeProto) -> Affine:
    """Return the quantization in a node's second and third input."""
    constants = {item.name: item for item in graph.initializer}
    scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
    return Affine(scale=float(scale), zero_point=int(zero_point))
