"""The check of a TFLite file before LiteRT runs it, which trusts the file and aborts the process.

It needs no runtime. The layout is FlatBuffers' ("FlatBuffer Internals", flatbuffers.dev), the
fields are numbered as in tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer.affine import SCALES

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite file."""
MOST = 20_000
"""Of tensors, of operations, and of anything else in a list."""
RANK, TENSOR_BYTES = 8, 256_000_000
BITS = {
    **{0: 32, 1: 16, 2: 32, 3: 8, 4: 64, 6: 8, 7: 16, 9: 8, 10: 64},
    **{12: 64, 15: 32, 16: 16, 17: 4, 18: 16},
}
"""Of a value, by the number of its type; those absent are text and handles."""
INT32, QUANTIZED = 2, (3, 7, 9)
"""Types: the latter are uint8, int16 and int8."""
CUSTOM, EDGETPU_OP = 32, b"edgetpu-custom-op"
STATEFUL = (142, 143, 144)
"""VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE."""
ADD, SUB, SPLIT, SLICE, SQUARED_DIFFERENCE, BATCH_MATMUL = 0, 41, 49, 65, 99, 126
INPUTS = {ADD: 2, SUB: 2, SPLIT: 2, SLICE: 3, SQUARED_DIFFERENCE: 2, BATCH_MATMUL: 2}
"""That LiteRT reads of an operation without asking whether they are there."""
SCALE_RATIO = {ADD: 2.0**18, SUB: 2.0**18, SQUARED_DIFFERENCE: 2.0**5}
"""Of an operation's largest input scale (SQUARED_DIFFERENCE: its square) and its output's: with
more, LiteRT's fixed-point multiplier reaches 1 and its assertion ends the process."""


class Table:
    """A table of a flatbuffer; what is read of it lies within the file, or `ValueError`."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        vtable = at - self._unpack("i", at)
        size = self._unpack("H", vtable)
        self._offsets = struct.unpack_from(f"<{max(0, size - 4) // 2}H", content, vtable + 4)

    def number(self, field: int, form: str) -> int:
        """Return a number by its form in `struct`; 0 where it is absent."""
        at = self._place(field)
        return 0 if at is None else self._unpack(form, at)

    def tables(self, field: int) -> list[Table]:
        """Return a vector of tables."""
        first, count = self._vector(field)
        places = [first + 4 * one for one in range(count)]
        return [Table(self._content, at + self._unpack("I", at)) for at in places]

    def table(self, field: int) -> Table | None:
        """Return a table, or None where it is absent."""
        at = self._place(field)
        return None if at is None else Table(self._content, at + self._unpack("I", at))

    def numbers(self, field: int, dtype: str) -> NDArray[np.number]:
        """Return a vector of numbers; empty where it is absent."""
        first, count = self._vector(field)
        return np.frombuffer(self._content, dtype, count, first) if count else np.empty(0, dtype)

    def text(self, field: int) -> bytes:
        """Return a text, or a vector of bytes."""
        return bytes(self.numbers(field, "<u1"))

    def size(self, field: int) -> int:
        """Return how many bytes a vector of bytes has, all of which lie within the file."""
        first, count = self._vector(field, len(self._content))
        if first + count > len(self._content):
            raise ValueError(DAMAGED)
        return count

    def _place(self, field: int) -> int | None:
        offset = self._offsets[field] if field < len(self._offsets) else 0
        return self._at + offset if offset else None

    def _vector(self, field: int, most: int = MOST) -> tuple[int, int]:
        """Return where a vector begins, and how many it holds."""
        at = self._place(field)
        if at is None:
            return 0, 0
        at += self._unpack("I", at)
        count = self._unpack("I", at)
        if count > most:
            raise ValueError(f"{count:,} entries of a list, expected at most {most:,}")
        return at + 4, count

    def _unpack(self, form: str, at: int) -> int:
        if at < 0:  # which `struct` would count from the end
            raise ValueError(DAMAGED)
        return int(struct.unpack_from(f"<{form}", self._content, at)[0])


DAMAGED = "it is damaged or cut off; copy it again"


@dataclass(frozen=True, slots=True)
class _Tensor:
    type: int
    shape: tuple[int, ...]
    constant: bool
    scales: NDArray[np.number]


def require_runnable(content: bytes) -> None:
    """Raise `ValueError`, which says what is wrong, for a file that LiteRT might not survive."""
    try:
        if content[4:8] != IDENTIFIER:
            raise ValueError("it does not begin as a TFLite file")
        _check_model(Table(content, struct.unpack_from("<I", content)[0]))
    except struct.error as exc:
        raise ValueError(DAMAGED) from exc


def _check_model(model: Table) -> None:
    codes, graphs = [_code(one) for one in model.tables(1)], model.tables(2)
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs, expected one")
    (graph,) = graphs
    sizes = [_size(one) for one in model.tables(4)]
    tensors = [_tensor(number, one, sizes) for number, one in enumerate(graph.tables(0))]
    ends = [*_indices(graph, 1, len(tensors), 0), *_indices(graph, 2, len(tensors), 0)]
    for number in ends:
        if tensors[number].constant:
            raise ValueError(f"tensor {number} is a constant, and an input or output")
    for number, one in enumerate(graph.tables(3)):
        code = one.number(0, "I")
        if code >= len(codes):
            raise ValueError(f"operation {number} is of kind {code}, of {len(codes)}")
        _check_op(f"operation {number}", codes[code], one, tensors)


def _code(code: Table) -> int:
    """Return the number of a kind of operation."""
    # Files older than TensorFlow 2.4 fill only the field that held the first 127 operations.
    number = max(code.number(3, "i"), code.number(0, "b"))
    if number == CUSTOM and code.text(1) != EDGETPU_OP:
        raise ValueError("it has a custom operation")
    if number in STATEFUL:
        raise ValueError("it keeps values from run to run")
    return number


def _size(buffer: Table) -> int:
    if buffer.number(2, "Q") > 1:
        raise ValueError("it keeps weights behind its flatbuffer")
    return buffer.size(0)


def _tensor(number: int, tensor: Table, sizes: list[int]) -> _Tensor:
    """Return a tensor, whose shape, content and scales fit each other."""
    name, kind, buffer = f"tensor {number}", tensor.number(1, "b"), tensor.number(2, "I")
    shape = tuple(map(int, tensor.numbers(0, "<i4")[: RANK + 1]))
    if kind not in BITS or len(shape) > RANK or min(shape, default=0) < 0 or buffer >= len(sizes):
        raise ValueError(f"{name} has type {kind}, shape {shape}, buffer {buffer}")
    needed, held = (math.prod(shape) * BITS[kind] + 7) // 8, sizes[buffer]
    is_sparse = tensor.table(6) is not None
    if needed > TENSOR_BYTES or (held and held != needed and not is_sparse):
        raise ValueError(f"{name} of shape {shape} has {needed:,} bytes, and {held:,} in the file")
    scales = _scales(name, tensor, shape)
    if kind in QUANTIZED and not held and len(scales) != 1:
        raise ValueError(f"{name} is quantized, and has {len(scales)} scales, expected one")
    return _Tensor(kind, shape, bool(held), scales)


def _scales(name: str, tensor: Table, shape: tuple[int, ...]) -> NDArray[np.number]:
    quantization = tensor.table(4)
    if quantization is None:
        return np.empty(0)
    scales, axis = quantization.numbers(2, "<f4"), quantization.number(6, "i")
    zeros = quantization.numbers(3, "<i8")
    channels = shape[axis] if 0 <= axis < len(shape) else 1
    if len(scales) not in (0, 1, channels) or len(zeros) not in (0, 1, len(scales)):
        raise ValueError(
            f"{name} has {len(scales)} scales, {len(zeros)} zero points, {channels} channels"
        )
    if not ((scales >= SCALES[0]) & (scales <= SCALES[1])).all():
        raise ValueError(f"{name} has a scale that is not above 0 and finite")
    if not ((zeros >= -(2**15)) & (zeros < 2**15)).all():
        raise ValueError(f"{name} has a zero point that no integer of it is")
    return scales


def _check_op(name: str, code: int, op: Table, tensors: list[_Tensor]) -> None:
    given = [None if one < 0 else tensors[one] for one in _indices(op, 1, len(tensors), -1)]
    made = [tensors[one] for one in _indices(op, 2, len(tensors), 0)]
    if len(given) < INPUTS.get(code, 1) or None in given[: INPUTS.get(code, 1)] or not made:
        raise ValueError(f"{name} has {len(given)} inputs and {len(made)} outputs")
    if any(one.constant for one in made):
        raise ValueError(f"{name} writes a constant")
    inputs = [one for one in given if one is not None]
    if code == SPLIT and not (inputs[0].constant and inputs[0].type == INT32):
        raise ValueError(f"{name} splits along no constant axis")
    if code in SCALE_RATIO and len({one.type for one in (*inputs, *made)}) != 1:
        raise ValueError(f"{name} mixes types")
    if code in SCALE_RATIO and made[0].type in QUANTIZED:
        _check_scales(name, code, inputs, made[0])


def _check_scales(name: str, code: int, inputs: list[_Tensor], made: _Tensor) -> None:
    if any(len(one.scales) != 1 for one in inputs):
        raise ValueError(f"{name} has an input without its one scale")
    largest = max(float(one.scales[0]) for one in inputs)
    ratio = (largest**2 if code == SQUARED_DIFFERENCE else largest) / float(made.scales[0])
    if ratio > SCALE_RATIO[code]:
        raise ValueError(f"{name} has an input scale {ratio:.3g} times that of its output")


def _indices(table: Table, field: int, count: int, lowest: int) -> list[int]:
    """Return indices of `count` tensors; `lowest` is -1 where one may be absent."""
    found = [int(one) for one in table.numbers(field, "<i4")]
    if any(not lowest <= one < count for one in found):
        raise ValueError(f"it names a tensor that is not there, of {count}")
    return found
