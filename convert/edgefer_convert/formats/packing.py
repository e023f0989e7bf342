"""Packing a TFLite file's objects into bytes: short names, each equal run of numbers once."""

from __future__ import annotations

import itertools
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from edgefer.tflite_file import IDENTIFIER

CONVERTER = "CONVERSION_METADATA"
"""What the converter tells of itself; a bundle's manifest has the versions."""
ALIGNMENT = 16
"""Of a buffer's data in the file, bytes: `force_align` in TensorFlow Lite's schema."""


def packed(model: Any) -> bytes:
    """Return the bytes of a file's objects (`ModelT`), without constants that nothing uses.

    A layer with per-channel scales has a zero point of eight bytes for each channel, twice, and
    every one is 0; a tensor is named after all layers that the converter fused. In a net of
    separable convolutions that is much of the file. Constants are named by their place.
    """
    model.metadata = [one for one in model.metadata or [] if _text(one.name) != CONVERTER] or None
    _keep_used_buffers(model)
    for graph in model.subgraphs:
        names = set[str]()
        for place, tensor in enumerate(graph.tensors):
            own = _is_constant(model, tensor)
            tensor.name = _unlike(names, f"c{place}" if own else short_name(_text(tensor.name)))
            names.add(tensor.name)
            # As in the files from before TFLite had the field: a shape tells its rank itself.
            tensor.hasRank = False
    builder = Sharing(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def short_name(name: str) -> str:
    """Return a tensor's name with the layer that carries the weights alone: `block1_a/Conv2D`.

    The converter joins the names of all layers that it fused by `;`, that one last.
    """
    layer, _, operation = name.rpartition(";")[2].rpartition("/")
    layer = layer.rpartition("/")[2].removeprefix("quant_")
    return f"{layer}/{operation}" if layer else name


def _is_constant(model: Any, tensor: Any) -> bool:
    return tensor.buffer != 0 and model.buffers[tensor.buffer].data is not None


def _unlike(taken: set[str], name: str) -> str:
    """Return the name, or with the first number that none of `taken` has."""
    numbered = (f"{name}_{count}" for count in itertools.count(1))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def _text(name: bytes | str | None) -> str:
    return name.decode() if isinstance(name, bytes) else name or ""


def _keep_used_buffers(model: Any) -> None:
    """Leave out buffers that nothing uses; what has no content shares the first, as the schema
    has it."""
    users = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    users += model.metadata or []
    kept, places = [model.buffers[0]], {0: 0}
    for user in users:
        buffer = model.buffers[user.buffer]
        if buffer.data is None or not len(buffer.data):
            places[user.buffer] = 0
        elif user.buffer not in places:
            places[user.buffer] = len(kept)
            kept.append(buffer)
        user.buffer = places[user.buffer]
    model.buffers = kept


class Sharing(flatbuffers.Builder):
    """Writes a vector that it has written before as a reference to that one.

    A FlatBuffer's tables hold offsets, and two may lead to the same place.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802  # flatbuffers' own name
        """Return where a vector of these numbers stands."""
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
