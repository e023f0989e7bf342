"""ONNX files made from Keras and TFLite models: the same bytes for the same graph."""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx
from onnx import numpy_helper, shape_inference

from edgefer.console import native_stderr_dropped

OPSET = 17
"""Newest that JetPack 6's TensorRT and onnxruntime 1.23 both read."""

INPUT, OUTPUT = "picture", "logits"
"""Names of the tensors at a file's ends."""

COUNTED = ("Conv", "Gemm", "MatMul")
"""What counts as multiply-accumulates, as in `edgefer_train.architectures.macs`."""

NAMED_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Nodes that keep the names of their layers. Where tf2onnx merges equal nodes, of the others
mostly, the name that is left changes from one process to the next."""

COUNTER = re.compile(r"__\d+")
"""In tf2onnx's names, from a count that never starts again within a process."""


def to_onnx(model: Any) -> bytes:
    """Convert a float Keras model to ONNX: `picture` float32 (1, side, side, 1) to logits.

    The outputs of several heads are called as the model's.
    """
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name=INPUT)
    function = tf.function(lambda image: model(image, training=False))
    proto, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=OPSET)
    _keep_captured(proto.graph, function.get_concrete_function(spec))
    return canonical_bytes(proto, model.output_names)


def _keep_captured(graph: onnx.GraphProto, function: Any) -> None:
    """Store what layers hold as tensors, as Normalization its mean: tf2onnx makes inputs of it."""
    held = {inner.name: tensor for tensor, inner in function.graph.captures}
    captured = [item for item in graph.input if item.name in held]
    for item in captured:
        graph.input.remove(item)
        graph.initializer.append(numpy_helper.from_array(held[item.name].numpy(), item.name))


def to_int8_onnx(tflite: bytes, outputs: Sequence[str] = ()) -> bytes:
    """Convert an int8 TFLite file to ONNX with QuantizeLinear / DequantizeLinear pairs.

    Several outputs get the names of `outputs`, or keep their own.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        native_stderr_dropped(),
    ):
        # TensorFlow warns that its interpreter, which tf2onnx reads the file with, has moved.
        warnings.simplefilter("ignore", UserWarning)
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        proto, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    return canonical_bytes(proto, outputs)


def parameters(content: bytes) -> int:
    """Return the number of weights in a float ONNX file: its real constants with a shape."""
    constants = onnx.load_model_from_string(content).graph.initializer
    real = (item for item in constants if item.data_type == onnx.TensorProto.FLOAT)
    return sum(size for size in (math.prod(item.dims) for item in real) if size > 1)


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


def canonical_bytes(model: onnx.ModelProto, outputs: Sequence[str] = ()) -> bytes:
    """Return a file with nodes in order of use and names that depend on the graph alone.

    Its input and output are called `INPUT` and `OUTPUT`, several outputs as `outputs` or as they
    were. Shapes of tensors in between are
    dropped: every reader infers them. The graph must have no graphs within it (`If`, `Loop`).
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    nodes = _in_order_of_use(graph)
    names = {graph.input[0].name: INPUT, **_output_names(graph, outputs)}
    _name_outputs(nodes, names)
    _name_constants(nodes, names)
    constants = {item.name: item for item in graph.initializer}
    used = [_renamed(constants[name], names) for name in names if name in constants]
    for end in (*graph.input, *graph.output):
        end.name = names[end.name]
    for node in nodes:
        node.input[:] = [names.get(name, "") for name in node.input]
        node.output[:] = [names.get(name, "") for name in node.output]
        node.name, node.doc_string = f"{node.op_type}:{node.output[0]}", ""
        if not node.domain:
            node.ClearField("domain")  # Now and then set, and empty: other bytes.
    for field in ("node", "initializer", "value_info"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.initializer.extend(used)
    graph.name, graph.doc_string, result.doc_string = "model", "", ""
    domains = {node.domain for node in nodes}
    kept = [one for one in result.opset_import if one.domain in domains]
    result.ClearField("opset_import")
    result.opset_import.extend(kept)
    return bytes(result.SerializeToString(deterministic=True))


def _output_names(graph: onnx.GraphProto, wanted: Sequence[str]) -> dict[str, str]:
    """Return the new name of each output by its old one."""
    given = [item.name for item in graph.output]
    return dict(zip(given, [OUTPUT] if len(given) == 1 else wanted or given, strict=True))


def _in_order_of_use(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return copies of the nodes that the outputs need, each after those that it reads."""
    producers = {name: node for node in graph.node for name in node.output if name}
    done: dict[str, onnx.NodeProto] = {}
    waiting = [(item.name, False) for item in reversed(graph.output)]
    while waiting:
        name, ready = waiting.pop()
        node = producers.get(name)
        if node is None or node.output[0] in done:
            continue
        if ready:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            done[node.output[0]] = copy
        else:
            waiting.append((name, True))
            waiting.extend((needed, False) for needed in reversed(node.input))
    return list(done.values())


def _name_outputs(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    """Name the outputs of nodes: after the layer, or after the kind of node and its number."""
    taken, count = set(names.values()), Counter[str]()
    for node in nodes:
        for name in node.output:
            if not name or name in names:
                continue
            base = COUNTER.sub("", name) if node.op_type in NAMED_OPS else node.op_type
            while (found := _numbered(base, count)) in taken:
                pass
            names[name] = found
            taken.add(found)


def _numbered(base: str, count: Counter[str]) -> str:
    count[base] += 1
    return base if count[base] == 1 else f"{base}_{count[base]}"


def _name_constants(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    """Name what is left, the constants, after the first node that reads them, and the place."""
    for node in nodes:
        for at, name in enumerate(node.input):
            if name and name not in names:
                names[name] = f"{names[node.output[0]]}.{at}"


def _renamed(item: onnx.TensorProto, names: Mapping[str, str]) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(item)
    copy.name = names[item.name]
    return copy
