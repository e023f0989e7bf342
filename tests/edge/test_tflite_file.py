from __future__ import annotations

import numpy as np
import pytest

from edgefer.bundle import open_bundle
from edgefer.errors import ConversionError
from edgefer.tflite_file import read_graph
from support.tflite_files import Op, Tensor, constant, tflite


def test_the_shipped_model_is_read_without_running_it() -> None:
    bundle = open_bundle("small")
    graph = read_graph(bundle.read("int8"), "small")
    counts = {name: count for (name, _), count in graph.counts().items()}
    assert counts["FULLY_CONNECTED"] == 2
    assert counts["CONV_2D"] >= 9
    (picture,), outputs = graph.inputs, graph.outputs
    assert graph.tensors[picture].scales == pytest.approx([bundle.manifest.input.affine.scale])
    assert graph.tensors[picture].shape == (1, *bundle.manifest.input.shape)
    for logits, head in zip(outputs, bundle.manifest.heads, strict=True):
        assert graph.tensors[logits].zero_points == (head.affine.zero_point,)
        assert graph.tensors[logits].shape == (1, len(head.labels))


def test_the_weights_of_a_convolution_have_a_scale_for_each_channel() -> None:
    graph = read_graph(open_bundle("small").read("int8"), "small")
    first, second, *_ = (op for op in graph.ops if op.name == "CONV_2D")
    weights = graph.tensor(first, 1)
    assert weights is not None
    assert weights.per_channel
    assert len(weights.scales) == weights.shape[weights.axis]
    assert weights.array().shape == weights.shape
    assert np.abs(weights.array()).max() == 127
    assert first.options["strideW"] == first.options["strideH"] == 1  # its stem is folded
    assert second.options["strideW"] == second.options["strideH"] == 2


def test_an_absent_input_and_a_constant_are_told() -> None:
    content = tflite(
        [Tensor((1, 4)), constant([1, 2], "int32"), Tensor((1, 4))],
        [Op("RESHAPE", (0, -1, 1), (2,), kind="Reshape")],
    )
    graph = read_graph(content, "made")
    (op,) = graph.ops
    assert graph.tensor(op, 1) is None
    assert graph.tensor(op, 7) is None
    shape = graph.tensor(op, 2)
    assert shape is not None
    assert shape.array().tolist() == [1, 2]


@pytest.mark.parametrize("cut", [0, 3, 7, 8, 100, 100_000, -2_000])
def test_what_is_no_tflite_file_is_refused_in_one_line(cut: int) -> None:
    content = open_bundle("small").read("int8")[:cut]
    with pytest.raises(ConversionError, match="photo: not a TFLite file") as caught:
        read_graph(content, "photo")
    assert "\n" not in str(caught.value)


def test_noise_behind_the_right_first_bytes_is_refused() -> None:
    noise = np.random.default_rng(1).bytes(1000)
    with pytest.raises(ConversionError, match="not a TFLite file, or a damaged one"):
        read_graph(b"\x1c\0\0\0TFL3" + noise, "noise")
