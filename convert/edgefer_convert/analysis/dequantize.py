"""The float twin of an int8 TFLite file: the same graph and weights, computed in float32.

TensorFlow's quantization debugger measures a model while it quantizes it, so it
knows nothing of one that was trained to be quantized. The twin is made from the
int8 file itself, whoever made it: each tensor keeps its number, int8 weights
become the reals that they stand for, and nothing is rounded between layers. One
tensor at a time can then be rounded as int8 would, and its cost be seen alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import ConversionError
from edgefer.runtime import litert
from edgefer.tflite_file import Graph, GraphTensor, open_flatbuffer, schema
from edgefer_convert.formats.packing import packed

PASSED_ON = ("QUANTIZE", "DEQUANTIZE")
"""Operations that only change how a tensor is stored."""


def twin(
    content: bytes,
    graph: Graph,
    outputs: Sequence[int],
    rounded: int | None = None,
    weights: dict[int, NDArray[np.float32]] | None = None,
) -> bytes:
    """Return the float twin of a file, as a TFLite file that gives the tensors `outputs`.

    The tensor `rounded` is rounded as int8 would; `weights` stand in for constants by number.
    """
    model = open_flatbuffer(content, "model")
    main = model.subgraphs[0]
    renamed = _without_storage(main, graph)
    for index, tensor in enumerate(graph.tensors):
        if tensor.scales:
            own = (weights or {}).get(index)
            _make_real(model, main.tensors[index], reals(tensor) if own is None else own)
    main.outputs = [renamed.get(index, index) for index in outputs]
    if rounded is not None:
        _round(model, main, graph.tensors[rounded], rounded)
    return packed(model)


def watched(content: bytes, outputs: Sequence[int]) -> bytes:
    """Return a file that gives the tensors `outputs`, whatever it gave before."""
    model = open_flatbuffer(content, "model")
    model.subgraphs[0].outputs = list(outputs)
    return packed(model)


def reals(tensor: GraphTensor) -> NDArray[np.float32] | None:
    """Return the values that a quantized constant stands for; None for what is computed."""
    if tensor.content is None:
        return None
    scales, zeros = along_axis(tensor)
    values: NDArray[np.float32] = ((tensor.array() - zeros) * scales).astype(np.float32)
    return values


def along_axis(tensor: GraphTensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a tensor's scales and zero points in a shape that goes with its values."""
    shape = [1] * len(tensor.shape)
    if tensor.per_channel:
        shape[tensor.axis] = -1
    return np.reshape(tensor.scales, shape), np.reshape(tensor.zero_points, shape)


class Net:
    """A TFLite file with one input and any number of outputs, one row a run."""

    def __init__(self, content: bytes) -> None:
        try:
            self._model = litert(content)
        except (ValueError, RuntimeError) as exc:
            raise ConversionError(f"LiteRT cannot run the model in float32: {exc}") from exc
        self._input = self._model.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._model.get_output_details()]

    def run(self, row: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs for one input without its batch, in the file's order."""
        self._model.set_tensor(self._input, row[np.newaxis])
        self._model.invoke()
        return [self._model.get_tensor(index)[0] for index in self._outputs]


def _without_storage(main: Any, graph: Graph) -> dict[int, int]:
    """Take out what only changes how a tensor is stored; return which tensor stands for which."""
    stands: dict[int, int] = {}
    kept = []
    for op, told in zip(main.operators, graph.ops, strict=True):
        op.inputs = [stands.get(int(index), int(index)) for index in op.inputs]
        if told.name in PASSED_ON:
            stands[told.outputs[0]] = op.inputs[0]
        else:
            kept.append(op)
    main.operators = kept
    return stands


def _make_real(model: Any, tensor: Any, values: NDArray[np.float32] | None) -> None:
    s = schema()
    tensor.type, tensor.quantization = s.TensorType.FLOAT32, None
    if values is not None:
        # A buffer of its own: equal bytes of other scales may share theirs.
        tensor.buffer = len(model.buffers)
        buffer = s.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        model.buffers.append(buffer)


def _round(model: Any, main: Any, tensor: GraphTensor, index: int) -> None:
    """Put a QUANTIZE and a DEQUANTIZE between a tensor and all that reads it."""
    s = schema()
    counts, back = len(main.tensors), len(main.tensors) + 1
    main.tensors += [_like(tensor, quantized) for quantized in (True, False)]
    for op in main.operators:
        op.inputs = [back if int(one) == index else int(one) for one in op.inputs]
    main.outputs = [back if one == index else one for one in main.outputs]
    at = _behind(main.operators, index)
    main.operators[at:at] = [
        _op(model, s.BuiltinOperator.QUANTIZE, index, counts),
        _op(model, s.BuiltinOperator.DEQUANTIZE, counts, back),
    ]


def _behind(operators: Iterable[Any], index: int) -> int:
    """The place behind the operation that gives a tensor; 0 for the graph's input."""
    makers = (at for at, op in enumerate(operators, 1) if index in list(op.outputs))
    return next(makers, 0)


def _like(tensor: GraphTensor, quantized: bool) -> Any:
    s = schema()
    made = s.TensorT()
    made.name, made.shape, made.buffer = b"rounded", list(tensor.shape), 0
    made.type = s.TensorType.FLOAT32
    if quantized:
        made.type = getattr(s.TensorType, tensor.dtype.upper())
        made.quantization = s.QuantizationParametersT()
        made.quantization.scale = list(tensor.scales)
        made.quantization.zeroPoint = list(tensor.zero_points)
    return made


def _op(model: Any, code: int, source: int, target: int) -> Any:
    s = schema()
    kind, op = s.OperatorCodeT(), s.OperatorT()
    # Version 2 of both takes int8 too.
    kind.builtinCode = kind.deprecatedBuiltinCode = code
    kind.version = 2
    op.opcodeIndex, op.inputs, op.outputs = len(model.operatorCodes), [source], [target]
    model.operatorCodes.append(kind)
    return op
