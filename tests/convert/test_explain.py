from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from edgefer.bundle import Bundle, describe, open_bundle, write_bundle
from edgefer.errors import BundleMissing, ConversionError
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer.tflite_file import Graph, open_flatbuffer, read_graph
from edgefer_convert.analysis.dequantize import Net, reals, twin
from edgefer_convert.analysis.sensitivity import Explanation, Subject, explain, layer_name
from edgefer_convert.analysis.sensitivity_source import open_source
from edgefer_convert.analysis.sensitivity_view import draw_explanation, write_picture
from edgefer_convert.formats.packing import packed
from support.tflite_files import Made, Step, constant, tflite

COUNT = 12


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    """Smooth grey squares: no faces, but through every layer."""
    noise = np.random.default_rng(1).integers(0, 256, (COUNT, 48, 48), np.uint8)
    soft = [cv2.normalize(cv2.GaussianBlur(one, (0, 0), 4), one, 0, 255, 32) for one in noise]
    return np.stack([np.asarray(one, np.uint8) for one in soft])


@pytest.fixture(scope="module")
def small() -> Bundle:
    return open_bundle("small")


@pytest.fixture(scope="module")
def graph(small: Bundle) -> Graph:
    return read_graph(small.read("int8"), "small")


@pytest.fixture(scope="module")
def explained(pictures: Pixels) -> Explanation:
    return open_source("small").explained(pictures, "squares")


def test_the_twin_says_what_the_int8_file_says_but_for_rounding(
    small: Bundle, graph: Graph, pictures: Pixels
) -> None:
    net = Net(twin(small.read("int8"), graph, graph.outputs))
    rows = small.manifest.input.preprocess.to_float(pictures)
    real = np.stack([net.run(row)[0] for row in rows])
    int8 = open_classifier(small, "int8").logits(pictures)
    assert np.abs(real - int8).max() < 12 * small.manifest.output.affine.scale
    assert np.corrcoef(real.ravel(), int8.ravel())[0, 1] > 0.99


def test_rounding_one_tensor_of_the_twin_is_int8s_own_rounding(
    small: Bundle, graph: Graph, pictures: Pixels
) -> None:
    row, *_ = small.manifest.input.preprocess.to_float(pictures)
    affine = small.manifest.output.affine
    (plain,) = Net(twin(small.read("int8"), graph, graph.outputs)).run(row)
    at = graph.outputs[0]
    (rounded,) = Net(twin(small.read("int8"), graph, graph.outputs, rounded=at)).run(row)
    assert rounded == pytest.approx(affine.dequantize(affine.quantize(plain)), abs=1e-5)
    assert not np.array_equal(rounded, plain)


def test_a_twin_with_its_own_weights_put_in_is_the_same_file(small: Bundle, graph: Graph) -> None:
    content = small.read("int8")
    own = {
        index: values
        for index, tensor in enumerate(graph.tensors)
        if tensor.scales and (values := reals(tensor)) is not None
    }
    assert twin(content, graph, graph.outputs, weights=own) == twin(content, graph, graph.outputs)


def test_what_only_stores_values_anew_is_taken_out_of_the_twin() -> None:
    steps = [
        Step("QUANTIZE", (0,), (1,), 2, "Quantize"),
        Step("ADD", (1, 2), (3,), 2, "Add"),
    ]
    tensors = [
        Made((1, 3)),
        Made((1, 3), scale=0.5),
        constant([10, 20, 30], "int8", 0.1),
        Made((1, 3)),
    ]
    content = tflite(tensors, steps)
    net = Net(twin(content, read_graph(content, "made"), (3,)))
    (given,) = net.run(np.array([0.11, 0.22, 0.33], np.float32))
    assert given == pytest.approx([1.11, 2.22, 3.33])


def test_every_layer_is_measured_and_the_costliest_comes_first(explained: Explanation) -> None:
    costs = [layer.cost for layer in explained.layers]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 0
    assert {layer.op for layer in explained.layers} == {
        "CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"
    }  # fmt: skip
    assert {"stem", "pool", "fer2013"} <= {layer.name for layer in explained.layers}
    for layer in explained.layers:
        assert 0 < layer.rounding < 0.2
        assert (layer.weights is None) == (layer.op in ("ADD", "MEAN"))


def test_errors_add_up_from_layer_to_layer(explained: Explanation) -> None:
    first, *later = sorted(explained.layers, key=lambda layer: layer.place)
    assert first.accumulated == pytest.approx(first.rounding, rel=0.1)
    assert max(layer.accumulated for layer in later) > first.accumulated


def test_weights_and_activations_are_told_apart(explained: Explanation) -> None:
    weights, activations, both = explained.steps
    assert weights.name.startswith("weights")
    assert 0 < activations.change < 0.05
    assert both.change < weights.change + activations.change


def test_a_layer_whose_scale_was_damaged_is_named_first(
    tmp_path: Path, pictures: Pixels, small: Bundle, graph: Graph
) -> None:
    victim = graph.ops[4].outputs[0]

    def shrink(tensors: list[Any]) -> None:
        quantization = tensors[victim].quantization
        quantization.scale = [quantization.scale[0] / 8]

    damaged = altered(small, shrink, tmp_path / "damaged")
    worst = open_source(str(damaged)).explained(pictures, "squares").layers[0]
    assert worst.name == layer_name(graph.tensors[victim].name)
    assert worst.clipped > 0.01
    assert worst.activations.change > 0.01


def altered(bundle: Bundle, change: Callable[[list[Any]], None], out: Path) -> Path:
    """Write a bundle whose int8 file has its tensors changed."""
    model = open_flatbuffer(bundle.read("int8"), "small")
    change(model.subgraphs[0].tensors)
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents["int8"] = packed(model)
    entry = bundle.manifest.files["int8"]
    files = {**bundle.manifest.files, "int8": describe(entry.path, contents["int8"], entry.target)}
    write_bundle(out, msgspec.structs.replace(bundle.manifest, files=files), contents)
    return out


def test_the_picture_is_a_png_that_is_written_whole(tmp_path: Path, explained: Explanation) -> None:
    content = draw_explanation(explained)
    drawn = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.shape[1] == 1024
    write_picture(explained, tmp_path / "costs.png")
    assert [path.name for path in tmp_path.iterdir()] == ["costs.png"]
    with pytest.raises(ConversionError, match=r"none/costs\.png: could not be written"):
        write_picture(explained, tmp_path / "none" / "costs.png")


def test_a_model_that_is_not_int8_is_refused() -> None:
    content = tflite([Made((1, 8), "float32", None)] * 2, [Step("LOGISTIC", (0,), (1,))])
    subject = Subject("mine", content, 1.0, None)
    with pytest.raises(ConversionError, match="mine: takes float32, expected int8"):
        explain(subject, np.zeros((1, 8), np.float32), np.zeros((1, 8), np.int8), "nothing")


def test_what_is_neither_run_nor_bundle_is_said() -> None:
    with pytest.raises(BundleMissing, match="nowhere: no such model bundle"):
        open_source("nowhere")


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
