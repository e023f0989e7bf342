"""The first convolution of an int8 TFLite file on SPACE_TO_DEPTH: squares of pixels as channels.

Int8 kernels multiply 4 to 64 channels at a time, and a grey image has one: a 5x5 kernel with
stride 2 calls them 25 times a pixel, each nearly empty. With each 2x2 square of pixels folded
into 4 channels the same is a 3x3 kernel, whose weights are 0 where the old one had none. The
outputs are the same to the bit; docs/development.md has the gain. Accelerators have no such kernels
and some no SPACE_TO_DEPTH: their compilers get the file without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from numpy.typing import NDArray

from edgefer_convert.formats.tflite_graph import GraphEditor

VERSION = 2
"""Of SPACE_TO_DEPTH, from which it takes int8."""
MOST_CHANNELS = 16
"""Up to which folding fills what was empty."""


def with_space_to_depth(content: bytes) -> bytes:
    """Return an int8 TFLite file with its first convolution folded, or as it is.

    A stride of one folds nothing, and a side that it does not divide cannot be folded.
    """
    editor = GraphEditor.open(content)
    image = int(editor.main.inputs[0])
    readers = [op for op in editor.main.operators if image in list(op.inputs)]
    if len(readers) != 1 or not _foldable(editor, readers[0], image):
        return content
    _fold(editor, readers[0], image)
    return editor.pack()


def _foldable(editor: GraphEditor, op: Any, image: int) -> bool:
    if editor.model.operatorCodes[op.opcodeIndex].builtinCode != tfl.BuiltinOperator.CONV_2D:
        return False
    options, stride = op.builtinOptions, op.builtinOptions.strideW
    _, height, width, channels = editor.main.tensors[image].shape
    plain = options.strideH == stride and options.dilationHFactor == options.dilationWFactor == 1
    square = height == width and width % stride == 0
    return bool(plain and square and stride > 1 and channels * stride**2 <= MOST_CHANNELS)


def _fold(editor: GraphEditor, op: Any, image: int) -> None:
    main, conv = editor.main, op.builtinOptions
    before, kernel = main.tensors[image], main.tensors[op.inputs[1]]
    _, side, _, channels = before.shape
    stride, same = conv.strideW, conv.padding == tfl.Padding.SAME
    weights = np.frombuffer(editor.model.buffers[kernel.buffer].data, np.int8)
    folded = fold(weights.reshape(kernel.shape), stride, same)
    kernel.buffer, kernel.shape = editor.add_buffer(folded), np.array(folded.shape, np.int32)
    shape = (1, side // stride, side // stride, channels * stride**2)
    squares = editor.add_tensor("squares", shape, "int8", before.quantization)
    options = tfl.SpaceToDepthOptionsT()
    options.blockSize = stride
    op.inputs = [squares, *op.inputs[1:]]
    conv.strideH = conv.strideW = 1
    at = main.operators.index(op)
    editor.insert_op(at, "SPACE_TO_DEPTH", VERSION, [image], [squares], options)


def without_space_to_depth(content: bytes) -> bytes:
    """Return a file of `with_space_to_depth` with its first convolution as it was, or as it is.

    The outputs are the same to the bit.
    """
    editor = GraphEditor.open(content)
    first = editor.main.operators[0]
    kind = editor.model.operatorCodes[first.opcodeIndex].builtinCode
    if kind != tfl.BuiltinOperator.SPACE_TO_DEPTH:
        return content
    readers = [op for op in editor.main.operators if first.outputs[0] in list(op.inputs)]
    if len(readers) == 1 and _unfold(editor, first, readers[0]):
        editor.main.operators.remove(first)
        return editor.pack()
    return content


def _unfold(editor: GraphEditor, squares: Any, conv: Any) -> bool:
    """Give the convolution its kernel and stride back; return whether there is such a kernel."""
    kernel, stride = editor.main.tensors[conv.inputs[1]], squares.builtinOptions.blockSize
    same = conv.builtinOptions.padding == tfl.Padding.SAME
    weights = np.frombuffer(editor.model.buffers[kernel.buffer].data, np.int8)
    found = unfold(weights.reshape(kernel.shape), stride, same)
    if found is None:
        return False
    kernel.buffer, kernel.shape = editor.add_buffer(found), np.array(found.shape, np.int32)
    conv.inputs = [squares.inputs[0], *conv.inputs[1:]]
    conv.builtinOptions.strideH = conv.builtinOptions.strideW = stride
    return True


def unfold(weights: NDArray[np.int8], stride: int, same: bool) -> NDArray[np.int8] | None:
    """Return the smallest kernel (out, k, k, in) of which `fold` makes `weights`; None without."""
    out, squares, _, channels = weights.shape
    shape = (out, squares, squares, stride, stride, channels // stride**2)
    wide = weights.reshape(shape).transpose(0, 1, 3, 2, 4, 5)
    side = squares * stride
    wide = wide.reshape(out, side, side, -1)
    for size in range(1, side + 1):
        for begin in range(side - size + 1):
            kernel: NDArray[np.int8] = wide[:, begin : begin + size, begin : begin + size]
            if np.array_equal(fold(kernel, stride, same), weights):
                return kernel
    return None


def fold(weights: NDArray[np.int8], stride: int, same: bool) -> NDArray[np.int8]:
    """Return the kernel (out, n, n, stride * stride * in) that does on squares of pixels what
    `weights` (out, k, k, in) do at `stride` on an image whose side it divides.

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
