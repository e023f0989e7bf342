"""Files that end LiteRT's process, or might, are refused before it gets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.bundle import Bundle, describe, open_bundle
from edgefer.errors import BundleCorrupt
from edgefer.runtime import open_classifier
from edgefer.tflite_check import IDENTIFIER, require_runnable
from edgefer.tflite_file import open_flatbuffer
from support.tflite_files import Op, Tensor, constant, tflite

TINY = open_bundle("tiny").read("int8")
WEIGHTS = 88_000
"""Bytes of it that lie before its structure."""


def changed(change: Callable[[Any, Any, Any], None]) -> bytes:
    """Return the tiny model after a change of the model, its graph and its first ADD."""
    model = open_flatbuffer(TINY, "tiny")
    graph = model.subgraphs[0]
    add = next(op for op in graph.operators if type(op.builtinOptions).__name__ == "AddOptionsT")
    change(model, graph, add)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def without_scale(_: Any, graph: Any, add: Any) -> None:
    graph.tensors[add.outputs[0]].quantization = None


def with_scale(scale: float) -> Callable[[Any, Any, Any], None]:
    def change(_: Any, graph: Any, add: Any) -> None:
        graph.tensors[add.outputs[0]].quantization.scale = np.array([scale], np.float32)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # The first three abort LiteRT 2.1.
        (without_scale, "is quantized, and has 0 scales, expected one"),
        (with_scale(1e-9), "has an input scale .* times that of its output"),
        (lambda _, g, add: setattr(g.tensors[add.outputs[0]], "type", 0), "mixes types"),
        (with_scale(float("nan")), "has a scale that is not above 0 and finite"),
        (with_scale(float("inf")), "has a scale that is not above 0 and finite"),
        (lambda m, _, __: setattr(m, "subgraphs", []), "it has 0 graphs, expected one"),
        (lambda _, g, __: setattr(g, "outputs", [9999]), "names a tensor that is not there"),
        (lambda _, __, add: setattr(add, "inputs", [0, -5]), "names a tensor that is not there"),
        (lambda _, __, add: setattr(add, "inputs", []), "has 0 inputs and 1 outputs"),
        (lambda _, __, add: setattr(add, "opcodeIndex", 999), "is of kind 999"),
        (lambda _, g, __: setattr(g.tensors[0], "buffer", 9999), "buffer 9999"),
        (
            lambda _, g, __: setattr(g.tensors[0], "shape", [2**30] * 4),
            r"has [\d,]+ bytes",
        ),
        (lambda _, g, __: setattr(g.tensors[0], "shape", [-1, 48, 48, 1]), "shape \\(-1, 48"),
        (lambda _, g, __: setattr(g.tensors[0], "shape", [1] * 9), "shape \\(1, 1"),
    ],
)
def test_what_litert_might_not_survive_is_refused(
    change: Callable[[Any, Any, Any], None], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        require_runnable(changed(change))


def test_a_bundle_with_such_a_file_is_refused_in_one_line() -> None:
    tiny, content = open_bundle("tiny"), changed(without_scale)
    files = {"int8": describe("model.int8.tflite", content, "LiteRT")}
    crafted = Bundle(
        tiny.path, msgspec.structs.replace(tiny.manifest, files=files), {"int8": content}
    )
    with pytest.raises(
        BundleCorrupt, match=r"not a TFLite model: tensor \d+ is quantized"
    ) as caught:
        open_classifier(crafted, "int8")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "kind"), [("SPLIT", "Split"), ("SLICE", "Slice")])
def test_an_operation_with_too_few_inputs_is_refused(name: str, kind: str) -> None:
    content = tflite([Tensor((1, 4)), Tensor((1, 4))], [Op(name, (0,), (1,), kind=kind)])
    with pytest.raises(ValueError, match="has 1 inputs and 1 outputs"):
        require_runnable(content)


def test_a_custom_operation_is_refused_unless_it_is_the_edgetpu_s() -> None:
    tensors = [Tensor((1, 4)), Tensor((1, 4))]
    require_runnable(tflite(tensors, [Op("CUSTOM", (0,), (1,), custom="edgetpu-custom-op")]))
    with pytest.raises(ValueError, match="custom operation"):
        require_runnable(tflite(tensors, [Op("CUSTOM", (0,), (1,), custom="Other")]))


def test_a_constant_that_is_shorter_than_its_shape_is_refused() -> None:
    short = Tensor((1, 100), "int32", None, constant([1, 2]).content)
    content = tflite(
        [Tensor((1, 4)), short, Tensor((1, 4))],
        [Op("RESHAPE", (0, 1), (2,), kind="Reshape")],
    )
    with pytest.raises(ValueError, match="has 400 bytes, and 8 in the file"):
        require_runnable(content)


@pytest.mark.parametrize("name", ["tiny", "small"])
@pytest.mark.parametrize("format", ["int8", "mobile"])
def test_every_shipped_file_passes(name: str, format: str) -> None:
    require_runnable(open_bundle(name).read(format))


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_damaged_bytes_pass_or_are_refused(data: st.DataObject) -> None:
    content = bytearray(TINY)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(WEIGHTS, len(TINY) - 1))] = data.draw(st.integers(0, 255))
    try:
        require_runnable(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except ValueError as exc:
        assert "\n" not in str(exc)
