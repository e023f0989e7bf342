from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from convert.conftest import edgefer, last_line
from edgefer.bundle import Bundle, describe, open_bundle, write_bundle
from edgefer.errors import ConversionError
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer.tflite_file import Graph, open_flatbuffer, read_graph
from edgefer_convert.analysis.dequantize import Interpreter, dequantize, dequantized
from edgefer_convert.analysis.sensitivity import (
    Int8Model,
    Sensitivity,
    int8_model_of,
    layer_name,
    measure_sensitivity,
)
from edgefer_convert.analysis.sensitivity_view import draw_sensitivity
from edgefer_convert.formats.tflite_graph import GraphEditor
from support.tflite_files import Op, Tensor, constant, tflite

COUNT = 12


@pytest.fixture(scope="module")
def images() -> Pixels:
    """Smooth grey squares: no faces, but through every layer."""
    noise = np.random.default_rng(1).integers(0, 256, (COUNT, 48, 48), np.uint8)
    soft = [cv2.normalize(cv2.GaussianBlur(one, (0, 0), 4), one, 0, 255, 32) for one in noise]
    return np.stack([np.asarray(one, np.uint8) for one in soft])


@pytest.fixture(scope="module")
def tiny() -> Bundle:
    return open_bundle("tiny")


@pytest.fixture(scope="module")
def graph(tiny: Bundle) -> Graph:
    return read_graph(tiny.read("int8"), "tiny")


@pytest.fixture(scope="module")
def measured(tiny: Bundle, images: Pixels) -> Sensitivity:
    return measure_sensitivity(int8_model_of(tiny), images, "squares")


def test_the_dequantized_file_has_the_int8_files_outputs_but_for_rounding(
    tiny: Bundle, graph: Graph, images: Pixels
) -> None:
    net = Interpreter(dequantize(tiny.read("int8"), graph, graph.outputs))
    rows = tiny.manifest.input.preprocess.to_float(images)
    real = np.stack([net.run(row)[0] for row in rows])
    int8 = open_classifier(tiny, "int8").logits(images)[:, :7]
    assert np.abs(real - int8).max() < 12 * tiny.manifest.heads[0].affine.scale
    assert np.corrcoef(real.ravel(), int8.ravel())[0, 1] > 0.99


def test_rounding_one_tensor_is_int8s_own_rounding(
    tiny: Bundle, graph: Graph, images: Pixels
) -> None:
    row, *_ = tiny.manifest.input.preprocess.to_float(images)
    affine = tiny.manifest.heads[0].affine
    at = graph.outputs[0]
    (plain,) = Interpreter(dequantize(tiny.read("int8"), graph, [at])).run(row)
    (rounded,) = Interpreter(dequantize(tiny.read("int8"), graph, [at], rounded=at)).run(row)
    assert rounded == pytest.approx(affine.dequantize(affine.quantize(plain)), abs=1e-5)
    assert not np.array_equal(rounded, plain)


def test_replacing_weights_by_themselves_gives_the_same_file(tiny: Bundle, graph: Graph) -> None:
    content = tiny.read("int8")
    own = {
        index: values
        for index, tensor in enumerate(graph.tensors)
        if tensor.scales and (values := dequantized(tensor)) is not None
    }
    assert dequantize(content, graph, graph.outputs, weights=own) == dequantize(
        content, graph, graph.outputs
    )


def test_operations_that_only_change_the_storage_are_removed() -> None:
    steps = [
        Op("QUANTIZE", (0,), (1,), 2, "Quantize"),
        Op("ADD", (1, 2), (3,), 2, "Add"),
    ]
    tensors = [
        Tensor((1, 3)),
        Tensor((1, 3), scale=0.5),
        constant([10, 20, 30], "int8", 0.1),
        Tensor((1, 3)),
    ]
    content = tflite(tensors, steps)
    net = Interpreter(dequantize(content, read_graph(content, "made"), (3,)))
    (given,) = net.run(np.array([0.11, 0.22, 0.33], np.float32))
    assert given == pytest.approx([1.11, 2.22, 3.33])


def test_every_layer_is_measured_and_the_costliest_comes_first(measured: Sensitivity) -> None:
    costs = [layer.cost for layer in measured.layers]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 0
    assert {layer.op for layer in measured.layers} == {
        "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"
    }  # fmt: skip
    assert {"stem", "pool", "fer2013"} <= {layer.name for layer in measured.layers}
    for layer in measured.layers:
        assert 0 < layer.rounding < 0.2
        assert (layer.weights is None) == (layer.op in ("ADD", "MEAN"))


def test_errors_add_up_from_layer_to_layer(measured: Sensitivity) -> None:
    first, *later = sorted(measured.layers, key=lambda layer: layer.place)
    assert first.accumulated == pytest.approx(first.rounding, rel=0.1)
    assert max(layer.accumulated for layer in later) > first.accumulated


def test_weights_and_activations_are_separated(measured: Sensitivity) -> None:
    weights, activations, both = measured.steps
    assert weights.name.startswith("weights")
    assert 0 < activations.change < 0.05
    assert both.change < weights.change + activations.change


def test_a_layer_whose_scale_was_damaged_is_named_first(
    tmp_path: Path, images: Pixels, tiny: Bundle, graph: Graph
) -> None:
    victim = graph.ops[4].outputs[0]

    def shrink(tensors: list[Any]) -> None:
        quantization = tensors[victim].quantization
        quantization.scale = [quantization.scale[0] / 16]

    damaged = altered(tiny, shrink, tmp_path / "damaged")
    model = int8_model_of(open_bundle(damaged))
    worst = measure_sensitivity(model, images, "squares").layers[0]
    assert worst.name == layer_name(graph.tensors[victim].name)
    assert worst.clipped > 0.01
    assert worst.activations.change > 0.01


def altered(bundle: Bundle, change: Callable[[list[Any]], None], out: Path) -> Path:
    """Write a bundle whose int8 file has its tensors changed."""
    model = open_flatbuffer(bundle.read("int8"), "tiny")
    change(model.subgraphs[0].tensors)
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents["int8"] = GraphEditor(model).pack()
    entry = bundle.manifest.files["int8"]
    files = {**bundle.manifest.files, "int8": describe(entry.path, contents["int8"], entry.target)}
    write_bundle(out, msgspec.structs.replace(bundle.manifest, files=files), contents)
    return out


def test_the_chart_is_a_png(measured: Sensitivity) -> None:
    drawn = cv2.imdecode(np.frombuffer(draw_sensitivity(measured), np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.shape[1] == 1024


def test_a_model_that_is_not_int8_is_refused(tiny: Bundle, images: Pixels) -> None:
    content = tflite([Tensor((1, 8), "float32", None)] * 2, [Op("LOGISTIC", (0,), (1,))])
    spec = tiny.manifest.input
    model = Int8Model("mine", content, tiny.manifest.decoder(), spec.preprocess, spec.affine, None)
    with pytest.raises(ConversionError, match="mine: expected an int8 input, got float32"):
        measure_sensitivity(model, images, "nothing")


def test_what_is_neither_run_nor_bundle_is_refused() -> None:
    done = edgefer("model", "sensitivity", "nowhere", status=1)
    assert "nowhere: no such model bundle" in last_line(done)


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("quant_stem_relu/Relu;quant_stem_bn/FusedBatchNormV3;quant_stem/Conv2D1", "stem"),
        ("small/block1_relu/Relu;small/block1_add/add", "block1_add"),
        ("quant_pool/Mean", "pool"),
        ("StatefulPartitionedCall:0", ""),
    ],
)
def test_a_layer_is_called_as_in_keras(tensor: str, name: str) -> None:
    assert layer_name(tensor) == name
