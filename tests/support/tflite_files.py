"""Small TFLite files, built by hand: for what no converter would write on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from edgefer_convert.formats.tflite_graph import GraphEditor, affine


@dataclass(frozen=True)
class Tensor:
    """A tensor to build."""

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: float | None = 0.1
    content: np.ndarray | None = None


@dataclass(frozen=True)
class Op:
    """An operation to build: `options` by the schema's names, of the kind `Conv2D`, ..."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    version: int = 1
    kind: str = ""
    options: dict[str, int] = field(default_factory=dict)
    custom: str = ""


def constant(values: Sequence[int], dtype: str = "int32", scale: float | None = None) -> Tensor:
    array = np.array(values, dtype)
    return Tensor(array.shape, dtype, scale, array)


def tflite(tensors: Sequence[Tensor], ops: Sequence[Op], graphs: int = 1) -> bytes:
    """Return a file with these tensors and operations, from the first tensor to the last."""
    model, graph = tfl.ModelT(), tfl.SubGraphT()
    model.version, model.description, model.buffers = 3, b"", [tfl.BufferT()]
    graph.name, graph.tensors, graph.operators = b"main", [], []
    model.operatorCodes, model.subgraphs = [], [graph] * graphs
    editor = GraphEditor(model)
    for one in tensors:
        scales = None if one.scale is None else affine([one.scale], [0])
        editor.add_tensor("tensor", one.shape, one.dtype, scales, one.content)
    for at, op in enumerate(ops):
        options = getattr(tfl, f"{op.kind}OptionsT")() if op.kind else None
        for name, value in op.options.items():
            assert hasattr(options, name)
            setattr(options, name, value)
        editor.insert_op(at, op.name, op.version, op.inputs, op.outputs, options)
        model.operatorCodes[at].customCode = op.custom.encode() or None
    editor.set_input(0)
    editor.set_output(len(tensors) - 1)
    return editor.pack()
