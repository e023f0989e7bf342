"""The first convolution on squares of pixels has the outputs of that on pixels, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefer.bundle import open_bundle
from edgefer.litert import open_interpreter
from edgefer.tflite_file import read_graph, schema
from edgefer_convert.formats.space_to_depth import with_space_to_depth
from support.tflite_files import Op, Tensor, constant, tflite

SIDE, OUT = 24, 8


def net(size: int, stride: int, same: bool, side: int = SIDE, channels: int = 1) -> bytes:
    """One convolution with random weights."""
    weights = np.random.default_rng(size).integers(-127, 128, (OUT, size, size, channels), np.int8)
    padding = schema().Padding.SAME if same else schema().Padding.VALID
    last = -(-side // stride) if same else (side - size) // stride + 1
    options = {"padding": padding, "strideH": stride, "strideW": stride}
    return tflite(
        [
            Tensor((1, side, side, channels), scale=0.1),
            Tensor(weights.shape, scale=0.01, content=weights),
            constant(range(OUT), scale=0.001),
            Tensor((1, last, last, OUT), scale=0.4),
        ],
        [Op("CONV_2D", [0, 1, 2], [3], version=3, kind="Conv2D", options=options)],
    )


def output(content: bytes) -> NDArray[Any]:
    """A file's output for noise."""
    model = open_interpreter(content)
    given, last = model.get_input_details()[0], model.get_output_details()[0]
    noise = np.random.default_rng(1).integers(-128, 128, given["shape"], np.int8)
    model.set_tensor(given["index"], noise)
    model.invoke()
    return np.asarray(model.get_tensor(last["index"]))


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("size", "stride", "squares"),
    [(5, 2, 3), (3, 2, 2), (7, 2, 4), (6, 3, 3), (4, 4, 1), (9, 4, 3)],
)
def test_the_outputs_stay(size: int, stride: int, squares: int, same: bool) -> None:
    before = net(size, stride, same)
    after = with_space_to_depth(before)
    graph = read_graph(after, "it")
    assert [op.name for op in graph.ops] == ["SPACE_TO_DEPTH", "CONV_2D"]
    kernel = graph.tensor(graph.ops[1], 1)
    assert kernel is not None
    assert kernel.shape[1] <= squares
    np.testing.assert_array_equal(output(after), output(before))


@pytest.mark.parametrize(
    "content",
    [net(5, 1, True), net(5, 2, True, side=25), net(5, 4, True, channels=3)],
    ids=["stride of one", "odd side", "enough channels"],
)
def test_what_cannot_gain_stays_as_it_is(content: bytes) -> None:
    assert with_space_to_depth(content) == content


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_a_shipped_model_predicts_the_same(name: str) -> None:
    content = open_bundle(name).read("int8")
    folded = with_space_to_depth(content)
    np.testing.assert_array_equal(output(folded), output(content))
