"""Editing a TFLite file's graph, and packing it: short names, each equal array stored once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from numpy.typing import NDArray

from edgefer.tflite_check import IDENTIFIER
from edgefer.tflite_file import open_flatbuffer

CONVERTER = "CONVERSION_METADATA"
"""Metadata that the converter adds about itself; a bundle's manifest has the versions."""
ALIGNMENT = 16
"""Of a buffer's data in the file, bytes: `force_align` in TensorFlow Lite's schema."""


class GraphEditor:
    """The first graph of a TFLite file, to which tensors and operations can be added."""

    def __init__(self, model: Any) -> None:
        """Edit a schema's `ModelT`; `GraphEditor.open` takes a file's bytes."""
        self.model = model
        self.main = model.subgraphs[0]

    @classmethod
    def open(cls, content: bytes, source: str = "model") -> GraphEditor:
        """Return an editor of a file; raise `ConversionError`, naming `source`, for other bytes."""
        return cls(open_flatbuffer(content, source))

    def add_tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        quantization: Any = None,
        values: NDArray[Any] | None = None,
    ) -> int:
        """Add a tensor, a constant where it has values; return its index."""
        tensor = tfl.TensorT()
        tensor.name, tensor.shape = name, np.array(shape, np.int32)
        tensor.type, tensor.quantization = tensor_type(dtype), quantization
        tensor.buffer = 0 if values is None else self.add_buffer(values)
        self.main.tensors.append(tensor)
        return len(self.main.tensors) - 1

    def add_buffer(self, values: NDArray[Any]) -> int:
        """Add a buffer; return its index. The first one is empty and stands for no data."""
        buffer = tfl.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def insert_op(
        self,
        at: int,
        name: str,
        version: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
    ) -> None:
        """Insert an operation before the `at`-th; `options` are the schema's, `Conv2DOptionsT`."""
        code, op = tfl.OperatorCodeT(), tfl.OperatorT()
        code.builtinCode, code.version = getattr(tfl.BuiltinOperator, name), version
        # One byte for readers from before TensorFlow 2.4; 127 stands for all newer operations.
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        op.opcodeIndex = len(self.model.operatorCodes)
        op.inputs, op.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            op.builtinOptionsType, op.builtinOptions = getattr(tfl.BuiltinOptions, kind), options
        self.model.operatorCodes.append(code)
        self.main.operators.insert(at, op)

    def set_input(self, index: int) -> None:
        """Make a tensor the graph's input."""
        self.main.inputs = np.array([index], np.int32)
        for signature in self.model.signatureDefs or ():
            signature.inputs[0].tensorIndex = index

    def set_output(self, index: int) -> None:
        """Make a tensor the graph's only output, and drop what leads to others."""
        self.main.outputs = np.array([index], np.int32)
        needed = {index}
        kept: list[Any] = []
        for op in reversed(self.main.operators):
            if needed & set(map(int, op.outputs)):
                kept.insert(0, op)
                needed |= set(map(int, op.inputs))
        if len(kept) < len(self.main.operators):
            self.main.operators = kept
            _keep_used_tensors(self.main)
        for signature in self.model.signatureDefs or ():
            signature.outputs = signature.outputs[:1]
            signature.inputs[0].tensorIndex = int(self.main.inputs[0])
            signature.outputs[0].tensorIndex = int(self.main.outputs[0])

    def pack(self) -> bytes:
        """Return the file's bytes, without constants that nothing uses.

        A layer with per-channel scales has a zero point of eight bytes for each channel, twice,
        and every one is 0; a tensor is named after all layers that the converter fused. In a
        net of separable convolutions that is much of the file. Constants are named by their
        index.
        """
        model = self.model
        metadata = [one for one in model.metadata or [] if _text(one.name) != CONVERTER]
        model.metadata = metadata or None
        _keep_used_buffers(model)
        for graph in model.subgraphs:
            names = set[str]()
            for index, tensor in enumerate(graph.tensors):
                name = f"c{index}" if tensor.buffer else short_name(_text(tensor.name))
                tensor.name = _unique(names, name)
                names.add(tensor.name)
                # As in the files from before TFLite had the field: a shape implies its rank.
                tensor.hasRank = False
        builder = SharingBuilder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def tensor_type(dtype: str) -> int:
    """Return the schema's number of a type: `int8`, `float32`, ..."""
    return int(getattr(tfl.TensorType, dtype.upper()))


def affine(scales: Sequence[float], zero_points: Sequence[int]) -> Any:
    """Return a tensor's quantization: one scale and zero point, or one a channel."""
    quantization = tfl.QuantizationParametersT()
    quantization.scale = np.array(scales, np.float32)
    quantization.zeroPoint = np.array(zero_points, np.int64)
    return quantization


def short_name(name: str) -> str:
    """Return a tensor's name with the layer that carries the weights alone: `block1_a/Conv2D`.

    The converter joins the names of all layers that it fused by `;`, that one last.
    """
    layer, _, operation = name.rpartition(";")[2].rpartition("/")
    layer = layer.rpartition("/")[2].removeprefix("quant_")
    return f"{layer}/{operation}" if layer else name


def _unique(taken: set[str], name: str) -> str:
    """Return the name, or with the first number that none of `taken` has."""
    numbered = (f"{name}_{count}" for count in itertools.count(1))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def _text(name: bytes | str | None) -> str:
    return name.decode() if isinstance(name, bytes) else name or ""


def _keep_used_tensors(graph: Any) -> None:
    """Drop the tensors that no operation reads or writes, and number the others anew."""
    ends = [index for op in graph.operators for index in (*op.inputs, *op.outputs)]
    used = sorted({int(index) for index in (*ends, *graph.inputs, *graph.outputs)} - {-1})
    new = {-1: -1, **{old: at for at, old in enumerate(used)}}
    graph.tensors = [graph.tensors[index] for index in used]
    for one in (graph, *graph.operators):
        one.inputs = np.array([new[int(index)] for index in one.inputs], np.int32)
        one.outputs = np.array([new[int(index)] for index in one.outputs], np.int32)


def _keep_used_buffers(model: Any) -> None:
    """Drop unused buffers; what has no content shares the first, as the schema requires."""
    users = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    users += model.metadata or []
    kept, indices = [model.buffers[0]], {0: 0}
    for user in users:
        buffer = model.buffers[user.buffer]
        if buffer.data is None or not len(buffer.data):
            indices[user.buffer] = 0
        elif user.buffer not in indices:
            indices[user.buffer] = len(kept)
            kept.append(buffer)
        user.buffer = indices[user.buffer]
    model.buffers = kept


class SharingBuilder(flatbuffers.Builder):
    """Builder that writes a repeated vector as a reference to the first one.

    A FlatBuffer's tables hold offsets, and two may lead to the same place.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802  # flatbuffers' own name
        """Return the offset of a vector of these numbers."""
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            write = self._data if x.dtype == np.uint8 else super().CreateNumpyVector
            self._written[key] = int(write(x))
        return self._written[key]

    def _data(self, x: NDArray[np.uint8]) -> int:
        """Write bytes, aligned as a buffer's must be."""
        self.StartVector(1, x.size, ALIGNMENT)
        self.head -= x.size
        self.Bytes[self.head : self.head + x.size] = x.tobytes()
        self.vectorNumElems = x.size
        return int(self.EndVector())
