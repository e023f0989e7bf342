"""Packing: files that have each equal array once, and short names."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert import schema_py_generated as tfl

from edgefer.litert import open_interpreter
from edgefer.tflite_check import IDENTIFIER
from edgefer.tflite_file import open_flatbuffer
from edgefer_convert.formats.tflite import to_int8_after_training
from edgefer_convert.formats.tflite_graph import ALIGNMENT, GraphEditor, short_name

layers = keras.layers


@pytest.fixture(scope="module")
def content() -> bytes:
    keras.utils.set_random_seed(1)
    image = layers.Input((12, 12, 1))
    x = layers.Conv2D(32, 3, activation="relu")(image)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.Conv2D(32, 1, activation="relu")(x)
    model = keras.Model(image, layers.Dense(7)(layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(1).random((16, 12, 12, 1), np.float32)
    return to_int8_after_training(model, images)


def plainly(content: bytes) -> bytes:
    """The same objects, every vector written out."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(open_flatbuffer(content, "it").Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def output(content: bytes) -> np.ndarray:
    model = open_interpreter(content)
    int8 = np.random.default_rng(2).integers(-128, 128, (1, 12, 12, 1)).astype(np.int8)
    model.set_tensor(model.get_input_details()[0]["index"], int8)
    model.invoke()
    return np.asarray(model.get_tensor(model.get_output_details()[0]["index"]))


def test_equal_arrays_are_stored_once_and_outputs_stay(content: bytes) -> None:
    plain = plainly(content)
    # Two zero points of eight bytes for each of 96 channels, and for these layers one array.
    assert len(plain) - len(content) >= 96 * 2 * 8 - 32 * 8
    np.testing.assert_array_equal(output(content), output(plain))


def test_the_objects_are_the_same_ones(content: bytes) -> None:
    for one, other in zip(
        open_flatbuffer(content, "it").subgraphs[0].tensors,
        open_flatbuffer(plainly(content), "it").subgraphs[0].tensors,
        strict=True,
    ):
        assert (one.name, one.type, one.buffer) == (other.name, other.type, other.buffer)
        for field in ("scale", "zeroPoint"):
            np.testing.assert_array_equal(
                getattr(one.quantization, field), getattr(other.quantization, field)
            )


def test_constants_lie_where_a_processor_can_read_them_at_once(content: bytes) -> None:
    root = tfl.Model.GetRootAsModel(content, 0)
    places = [
        buffer._tab.Vector(buffer._tab.Offset(4))
        for buffer in map(root.Buffers, range(root.BuffersLength()))
        if buffer.DataLength()
    ]
    assert places
    assert [place % ALIGNMENT for place in places] == [0] * len(places)


def test_a_constant_that_nothing_uses_is_left_out(content: bytes) -> None:
    model = open_flatbuffer(content, "it")
    buffer = tfl.BufferT()
    buffer.data = np.arange(10_000, dtype=np.int64).view(np.uint8)
    model.buffers.append(buffer)
    assert len(GraphEditor(model).pack()) <= len(content) + 64


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("net/quant_a_relu/Relu;net/quant_a_bn/FusedBatchNormV3;net/quant_a/Conv2D1", "a/Conv2D1"),
        ("small/pool/Mean", "pool/Mean"),
        ("picture", "picture"),
    ],
)
def test_a_tensor_is_named_after_the_layer_that_carries_the_weights(name: str, short: str) -> None:
    assert short_name(name) == short


def test_names_are_short_and_no_two_alike(content: bytes) -> None:
    tensors = open_flatbuffer(content, "it").subgraphs[0].tensors
    names = [tensor.name for tensor in tensors]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 40
    assert {tensor.buffer for tensor in tensors if not tensor.name.startswith(b"c")} == {0}
