"""An int8 TFLite file dequantized: the same graph and weights, computed in float32.

TensorFlow's quantization debugger measures a model while it quantizes it, so it cannot measure
one that was trained to be quantized. The dequantized model is made from the int8 file itself,
whoever made it: each tensor keeps its index, int8 weights become the real values that they stand
for, and nothing is rounded between layers. One tensor at a time can then be rounded as int8
would, and its cost be seen alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import ConversionError
from edgefer.litert import open_interpreter
from edgefer.tflite_file import Graph, GraphTensor
from edgefer_convert.formats.tflite_graph import GraphEditor, affine, tensor_type

STORAGE_OPS = ("QUANTIZE", "DEQUANTIZE")
"""Operations that only change how a tensor is stored."""

FloatArray = NDArray[np.float32]


def dequantize(
    content: bytes,
    graph: Graph,
    outputs: Sequence[int],
    rounded: int | None = None,
    weights: Mapping[int, FloatArray] | None = None,
) -> bytes:
    """Return an int8 file's graph in float32, as a TFLite file whose outputs are `outputs`.

    The tensor `rounded` is rounded as int8 would; `weights` replace constants by index.
    """
    editor, replaced = GraphEditor.open(content), weights or {}
    renamed = _remove_storage_ops(editor, graph)
    for index, tensor in enumerate(graph.tensors):
        if tensor.scales:
            edited, values = editor.main.tensors[index], replaced.get(index, dequantized(tensor))
            edited.type, edited.quantization = tensor_type("float32"), None
            if values is not None:
                # A buffer of its own: equal bytes of other scales may share theirs.
                edited.buffer = editor.add_buffer(values)
    editor.main.outputs = [renamed.get(index, index) for index in outputs]
    if rounded is not None:
        _round(editor, graph.tensors[rounded], rounded)
    return editor.pack()


def with_outputs(content: bytes, outputs: Sequence[int]) -> bytes:
    """Return a file whose outputs are the tensors `outputs`."""
    editor = GraphEditor.open(content)
    editor.main.outputs = list(outputs)
    return editor.pack()


def dequantized(tensor: GraphTensor) -> FloatArray | None:
    """Return the values that a quantized constant stands for; None for what is computed."""
    if tensor.content is None:
        return None
    scales, zeros = along_axis(tensor)
    values: FloatArray = ((tensor.array() - zeros) * scales).astype(np.float32)
    return values


def along_axis(tensor: GraphTensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a tensor's scales and zero points in a shape that broadcasts over its values."""
    shape = [1] * len(tensor.shape)
    if tensor.per_channel:
        shape[tensor.axis] = -1
    return np.reshape(tensor.scales, shape), np.reshape(tensor.zero_points, shape)


class Interpreter:
    """A TFLite file with one input and any number of outputs, one row a run."""

    def __init__(self, content: bytes) -> None:
        try:
            self._model = open_interpreter(content)
        except (ValueError, RuntimeError) as exc:
            raise ConversionError(f"LiteRT cannot run the model in float32: {exc}") from exc
        self._input = self._model.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._model.get_output_details()]

    def run(self, row: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs for one input without its batch, in the file's order."""
        self._model.set_tensor(self._input, row[np.newaxis])
        self._model.invoke()
        return [self._model.get_tensor(index)[0] for index in self._outputs]


def _remove_storage_ops(editor: GraphEditor, graph: Graph) -> dict[int, int]:
    """Remove what only changes how a tensor is stored; return the tensor in the place of each."""
    renamed: dict[int, int] = {}
    kept = []
    for op, known in zip(editor.main.operators, graph.ops, strict=True):
        op.inputs = [renamed.get(int(index), int(index)) for index in op.inputs]
        if known.name in STORAGE_OPS:
            renamed[known.outputs[0]] = op.inputs[0]
        else:
            kept.append(op)
    editor.main.operators = kept
    return renamed


def _round(editor: GraphEditor, tensor: GraphTensor, index: int) -> None:
    """Put a QUANTIZE and a DEQUANTIZE between a tensor and all that reads it."""
    scales = affine(tensor.scales, tensor.zero_points)
    int8 = editor.add_tensor("rounded", tensor.shape, tensor.dtype, scales)
    back = editor.add_tensor("rounded", tensor.shape, "float32")
    main, behind = editor.main, 0
    for at, op in enumerate(main.operators, 1):
        op.inputs = [back if int(one) == index else int(one) for one in op.inputs]
        if index in list(op.outputs):
            behind = at
    main.outputs = [back if one == index else one for one in main.outputs]
    # Version 2 of both takes int8 too.
    editor.insert_op(behind, "QUANTIZE", 2, [index], [int8])
    editor.insert_op(behind + 1, "DEQUANTIZE", 2, [int8], [back])
