"""Small TFLite files, built by hand: for what no converter would write on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

from edgefer.tflite_file import IDENTIFIER, schema


@dataclass(frozen=True)
class Made:
    """A tensor to be."""

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: float | None = 0.1
    content: np.ndarray | None = None


@dataclass(frozen=True)
class Step:
    """An operation to be: `options` by the schema's names, of the kind that its name tells."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    version: int = 1
    kind: str = ""
    options: dict[str, int] = field(default_factory=dict)
    custom: str = ""


def constant(values: Sequence[int], dtype: str = "int32", scale: float | None = None) -> Made:
    array = np.array(values, dtype)
    return Made(array.shape, dtype, scale, array)


def tflite(
    tensors: Sequence[Made],
    steps: Sequence[Step],
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] = (-1,),
    graphs: int = 1,
) -> bytes:
    """Return a file with these tensors and operations; an output of -1 is the last tensor."""
    s = schema()
    model, graph = s.ModelT(), s.SubGraphT()
    model.version, model.description, model.buffers = 3, b"", [s.BufferT()]
    graph.name, graph.tensors = b"main", [_tensor(made, model) for made in tensors]
    graph.inputs = list(inputs)
    graph.outputs = [index % len(tensors) for index in outputs]
    model.operatorCodes = [_code(step) for step in steps]
    graph.operators = [_op(step, index) for index, step in enumerate(steps)]
    model.subgraphs = [graph] * graphs
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _tensor(made: Made, model: Any) -> Any:
    s = schema()
    tensor = s.TensorT()
    tensor.name, tensor.shape = b"tensor", list(made.shape)
    tensor.type, tensor.buffer = getattr(s.TensorType, made.dtype.upper()), 0
    if made.scale is not None:
        tensor.quantization = s.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [made.scale], [0]
    if made.content is not None:
        buffer = s.BufferT()
        buffer.data = np.frombuffer(made.content.tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    return tensor


def _code(step: Step) -> Any:
    s = schema()
    code = s.OperatorCodeT()
    code.builtinCode = getattr(s.BuiltinOperator, step.name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version, code.customCode = step.version, step.custom.encode() or None
    return code


def _op(step: Step, code: int) -> Any:
    s = schema()
    op = s.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = code, list(step.inputs), list(step.outputs)
    if step.kind:
        op.builtinOptionsType = getattr(s.BuiltinOptions, f"{step.kind}Options")
        op.builtinOptions = getattr(s, f"{step.kind}OptionsT")()
        for name, value in step.options.items():
            assert hasattr(op.builtinOptions, name)
            setattr(op.builtinOptions, name, value)
    return op
