"""int8 ONNX files made after training by onnxruntime's static quantization.

Weights count by channel from -127 to 127, activations by tensor; what the activations
range over is what representative pictures show.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
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
from edgefer_convert.formats.onnx_files import INPUT, OUTPUT, to_bytes
from edgefer_convert.formats.onnx_names import canonical

Pictures = NDArray[np.float32]


WEIGHTED = ["Conv", "Gemm", "MatMul"]
"""Nodes with weights."""

PERCENTILE = 99.99
"""Of an activation's values, what a symmetric range holds: after a ReLU it has 127 counts, too few
to spend on the rarest. On PublicTest `tiny` keeps 98.2 % of float's labels, by the largest value
97.3 %, by 99.999 98.1 %, by entropy 97.3 %."""


def to_symmetric(content: bytes, pictures: Pictures) -> bytes:
    """Quantize a float ONNX file as TensorRT wants it, float32 in and out.

    What goes into each layer with weights is rounded and nothing else, so that TensorRT may
    fuse what follows it; every zero point is 0, and biases stay float. Source: TensorRT's
    developer guide, "Working with quantized types". `pictures` are float32
    (N, side, side, 1) in 0..1.
    """
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": WEIGHTED,
        "CalibPercentile": PERCENTILE,
    }
    made = _quantized(content, pictures, options, WEIGHTED, CalibrationMethod.Percentile)
    return to_bytes(canonical(made, INPUT, OUTPUT))


def to_int8(content: bytes, pictures: Pictures) -> bytes:
    """Quantize a float ONNX file, int8 in and out; `pictures` are as for `to_symmetric`.

    Raises `ConversionError` when an end of the graph was left in float.
    """
    model = _quantized(content, pictures, {"WeightSymmetric": True})
    _open_input(model.graph)
    _open_output(model.graph)
    return to_bytes(canonical(model, INPUT, OUTPUT))


def ends(content: bytes) -> tuple[Affine, Affine]:
    """Return the quantization of an int8 ONNX file's input and output."""
    graph = onnx.load_model_from_string(content).graph
    first = _past_layout(graph, graph.input[0].name, forward=True)
    last = _past_layout(graph, graph.output[0].name, forward=False)
    return _affine(graph, first), _affine(graph, last)


def _quantized(
    content: bytes,
    pictures: Pictures,
    options: dict[str, Any],
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
            _Reader(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=kinds,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=ranges,
            extra_options=options,
        )
        return onnx.load(str(done))


class _Reader(CalibrationDataReader):
    """Hands the pictures on, one a run."""

    def __init__(self, pictures: Pictures) -> None:
        self._left = iter(pictures)

    def get_next(self) -> dict[str, Pictures] | None:
        """Return the next input, or None after the last."""
        picture = next(self._left, None)
        return None if picture is None else {INPUT[0]: picture[np.newaxis]}


LAYOUT = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")
"""Nodes that only arrange values, and do so with integers as well."""


def _past_layout(graph: onnx.GraphProto, name: str, forward: bool) -> onnx.NodeProto:
    """The first node from an end of the graph inwards that computes."""
    while True:
        ends = ((one, one.input if forward else one.output) for one in graph.node)
        node: onnx.NodeProto = next(one for one, names in ends if name in names)
        if node.op_type not in LAYOUT:
            return node
        name = node.output[0] if forward else node.input[0]


def _open_input(graph: onnx.GraphProto) -> None:
    """Let the graph begin with the integers that its first QuantizeLinear makes."""
    node = _past_layout(graph, graph.input[0].name, forward=True)
    _require("QuantizeLinear", node, "input")
    for reader in graph.node:
        reader.input[:] = [node.input[0] if n == node.output[0] else n for n in reader.input]
    graph.node.remove(node)
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT8


def _open_output(graph: onnx.GraphProto) -> None:
    """Let the graph end with the integers that its last DequantizeLinear reads."""
    node = _past_layout(graph, graph.output[0].name, forward=False)
    _require("DequantizeLinear", node, "output")
    for maker in graph.node:
        maker.output[:] = [node.output[0] if n == node.input[0] else n for n in maker.output]
    for reader in graph.node:
        reader.input[:] = [node.output[0] if n == node.input[0] else n for n in reader.input]
    graph.node.remove(node)
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT8


def _require(kind: str, node: onnx.NodeProto, end: str) -> None:
    if node.op_type != kind:
        raise ConversionError(
            f"onnxruntime left the {end} of the model in float, at {node.op_type}; "
            "begin and end the model with convolutions or dense layers"
        )


def _affine(graph: onnx.GraphProto, node: onnx.NodeProto) -> Affine:
    """The quantization that a node's second and third input say."""
    constants = {item.name: item for item in graph.initializer}
    scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
    return Affine(scale=float(scale), zero_point=int(zero_point))
