"""The first convolution of an int8 TFLite file, with squares of pixels for channels.

Int8 kernels multiply 4 to 64 channels at a time, and a grey picture has one: a 5x5 kernel with
stride 2 calls them 25 times a pixel, each nearly empty. With each 2x2 square of pixels folded
into 4 channels (SPACE_TO_DEPTH) the same is a 3x3 kernel, whose weights are 0 where the old one
had none. The counts that come out are the same to the last; docs/development.md tells the gain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from numpy.typing import NDArray

from edgefer_convert.formats.editing import Graph
from edgefer_convert.formats.packing import packed

KIND = tfl.BuiltinOperator.SPACE_TO_DEPTH, 2
"""Version 2 takes int8."""
MOST = 16
"""Channels up to which folding fills what was empty."""


def with_folded_stem(content: bytes) -> bytes:
    """Return an int8 TFLite file with its first convolution folded, or as it is.

    A stride of one folds nothing, and a side that it does not divide cannot be folded.
    """
    model = tfl.ModelT.InitFromPackedBuf(content)
    graph = Graph(model)
    picture = int(graph.main.inputs[0])
    readers = [op for op in graph.main.operators if picture in list(op.inputs)]
    if len(readers) != 1 or not _foldable(model, graph.main, readers[0], picture):
        return content
    _fold(graph, readers[0], picture)
    return packed(model)


def _foldable(model: Any, main: Any, op: Any, picture: int) -> bool:
    if model.operatorCodes[op.opcodeIndex].builtinCode != tfl.BuiltinOperator.CONV_2D:
        return False
    how, stride = op.builtinOptions, op.builtinOptions.strideW
    _, height, width, channels = main.tensors[picture].shape
    plain = how.strideH == stride and how.dilationHFactor == how.dilationWFactor == 1
    square = height == width and width % stride == 0
    return bool(plain and square and stride > 1 and channels * stride**2 <= MOST)


def _fold(graph: Graph, op: Any, picture: int) -> None:
    how, main = op.builtinOptions, graph.main
    before, kernel = main.tensors[picture], main.tensors[op.inputs[1]]
    _, side, _, channels = before.shape
    stride, same = how.strideW, how.padding == tfl.Padding.SAME
    weights = np.frombuffer(graph.model.buffers[kernel.buffer].data, np.int8)
    folded = fold(weights.reshape(kernel.shape), stride, same)
    kernel.buffer = graph.buffer(np.frombuffer(folded.tobytes(), np.uint8))
    kernel.shape = np.array(folded.shape, np.int32)
    shape = (1, side // stride, side // stride, channels * stride**2)
    squares = graph.tensor("squares", shape, before.type, before.quantization)
    options = tfl.SpaceToDepthOptionsT()
    options.blockSize = stride
    op.inputs = [squares, *op.inputs[1:]]
    how.strideH = how.strideW = 1
    kind = tfl.BuiltinOptions.SpaceToDepthOptions
    graph.operation(main.operators.index(op), KIND, [picture], squares, (kind, options))


def fold(weights: NDArray[np.int8], stride: int, same: bool) -> NDArray[np.int8]:
    """Return the kernel (out, n, n, stride * stride * in) that does on squares of pixels what
    `weights` (out, k, k, in) do at `stride` on a picture whose side it divides.

    Padding is TFLite's SAME, for both, or none.
    """
    out, size, _, channels = weights.shape
    pad = max(size - stride, 0) // 2 if same else 0
    first, last = -pad // stride, (size - 1 - pad) // stride
    squares = last - first + 1
    # SAME puts so many of a kernel's squares before the one in its middle, and so many behind it.
    while same and ((squares - 1) // 2 < -first or squares // 2 < last):
        squares += 1
    begin = ((squares - 1) // 2 if same else 0) * stride - pad
    wide = np.zeros((out, squares * stride, squares * stride, channels), np.int8)
    wide[:, begin : begin + size, begin : begin + size] = weights
    apart = wide.reshape(out, squares, stride, squares, stride, channels)
    folded: NDArray[np.int8] = apart.transpose(0, 1, 3, 2, 4, 5).reshape(out, squares, squares, -1)
    return folded
