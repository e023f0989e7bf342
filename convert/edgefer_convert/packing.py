"""Packing a TFLite file's objects into bytes, each equal run of numbers once."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from edgefer.tflite_file import IDENTIFIER

ALIGNMENT = 16
"""Of a buffer's data in the file, bytes: `force_align` in TensorFlow Lite's schema."""


def packed(model: Any) -> bytes:
    """Return the bytes of a file's objects (`ModelT`), without constants that nothing uses.

    A layer with per-channel scales has a zero point of eight bytes for each channel, twice, and
    every one is 0: in a net of separable convolutions much of the file.
    """
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {item.buffer for item in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    builder = Sharing(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


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
