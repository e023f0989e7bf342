"""The graph of a TFLite file, read from its flatbuffer; nothing is run.

The schema is LiteRT's (tensorflow/lite/schema/schema.fbs), which a device has
with its runtime: no TensorFlow is needed.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import ConversionError, MissingExtra
from edgefer.tflite_check import IDENTIFIER


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """One tensor of a file's first graph."""

    name: str
    dtype: str
    """`int8`, `int32`, `float32`, ... in lower case, as the schema calls it."""
    shape: tuple[int, ...]
    """-1 where a side is open until the model runs."""
    scales: tuple[float, ...]
    """One, or one a channel; empty where it is not quantized."""
    zero_points: tuple[int, ...]
    """As many as scales."""
    axis: int
    """Of the channels, where there are several scales."""
    content: bytes | None
    """The bytes of a constant; None for what is computed or given."""

    @property
    def per_channel(self) -> bool:
        """Whether each channel has a scale of its own."""
        return len(self.scales) > 1

    def array(self) -> NDArray[Any]:
        """Return a constant's values as they are stored, in its shape."""
        return np.frombuffer(self.content or b"", np.dtype(self.dtype)).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a file's first graph."""

    name: str
    """`CONV_2D`, ...; a custom operation's own name."""
    code: int
    """The schema's number, which grows with each operation that TFLite learned."""
    version: int
    inputs: tuple[int, ...]
    """Indices of tensors; -1 where an optional one is absent."""
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    """By the schema's names: `strideW`, `fusedActivationFunction`, ..."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A file's first graph."""

    tensors: tuple[GraphTensor, ...]
    ops: tuple[Op, ...]
    """In the order in which they run."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    graphs: int
    """How many the file holds; several where there are loops or conditions."""

    def counts(self) -> Counter[tuple[str, int]]:
        """Return how often each operation occurs, by name and version."""
        return Counter((op.name, op.version) for op in self.ops)

    def tensor(self, op: Op, position: int) -> GraphTensor | None:
        """Return an input of an operation by its position, or None where it is absent."""
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return None
        return self.tensors[op.inputs[position]]


def schema() -> ModuleType:
    """Return LiteRT's schema as Python; raise `MissingExtra` where LiteRT is not installed."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as exc:
        raise MissingExtra("ai-edge-litert", "device") from exc
    return schema_py_generated  # type: ignore[no-any-return]  # LiteRT ships no types


def open_flatbuffer(content: bytes, source: str) -> Any:
    """Return a file as the schema's own objects (`ModelT`), which can be changed and packed.

    Raises `ConversionError`, naming `source`, for bytes that are no TFLite file.
    """
    model_type = schema().ModelT
    with _refusing(source):
        if content[4:8] != IDENTIFIER:
            raise ValueError("it does not begin as a TFLite file")
        return model_type.InitFromPackedBuf(content, 0)


def read_graph(content: bytes, source: str) -> Graph:
    """Read the first graph of a file; raise `ConversionError` for bytes that are no TFLite file."""
    model = open_flatbuffer(content, source)
    with _refusing(source):
        graph = model.subgraphs[0]
        return Graph(
            tensors=tuple(_tensor(tensor, model.buffers) for tensor in graph.tensors),
            ops=tuple(_op(op, model.operatorCodes) for op in _items(graph.operators)),
            inputs=_integers(graph.inputs),
            outputs=_integers(graph.outputs),
            graphs=len(model.subgraphs),
        )


@contextmanager
def _refusing(source: str) -> Iterator[None]:
    """Raise `ConversionError` for whatever a reader trips over when offsets lead nowhere."""
    try:
        yield
    except (struct.error, ValueError, TypeError, LookupError, AttributeError, OverflowError) as exc:
        raise ConversionError(
            f"{source}: not a TFLite file, or a damaged one; convert it again"
        ) from exc


def _tensor(tensor: Any, buffers: list[Any]) -> GraphTensor:
    quantization, data = tensor.quantization, buffers[tensor.buffer].data
    scales = () if quantization is None else tuple(map(float, _items(quantization.scale)))
    shape = _items(tensor.shapeSignature) or _items(tensor.shape)
    return GraphTensor(
        name=tensor.name.decode(errors="replace"),
        dtype=_names("TensorType")[tensor.type].lower(),
        shape=tuple(map(int, shape)),
        scales=scales,
        zero_points=_integers(quantization.zeroPoint) if scales else (),
        axis=int(quantization.quantizedDimension) if scales else 0,
        content=bytes(data) if data is not None and len(data) else None,
    )


def _op(op: Any, codes: list[Any]) -> Op:
    code = codes[op.opcodeIndex]
    # Files older than TensorFlow 2.4 fill only the field that held the first 127 operations.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    custom = code.customCode.decode(errors="replace") if code.customCode else ""
    options = op.builtinOptions or op.builtinOptions2
    return Op(
        name=custom or _names("BuiltinOperator").get(number, f"operation {number}"),
        code=number,
        version=code.version,
        inputs=_integers(op.inputs),
        outputs=_integers(op.outputs),
        options=dict(vars(options)) if options else {},
    )


@cache
def _names(kind: str) -> dict[int, str]:
    """The names of one of the schema's enumerations, by number."""
    members = vars(getattr(schema(), kind)).items()
    return {number: name for name, number in members if not name.startswith("_")}


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(map(int, _items(values)))


def _items(values: Any) -> list[Any]:
    """A vector of the schema as a list: None where it is absent, often an array."""
    return [] if values is None else list(values)
