"""A shipped model damaged on purpose: every check that should catch a damage does."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgefer.affine import Affine
from edgefer.bundle import Bundle, describe, open_bundle
from edgefer.gate_limits import GateLimits
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer.tflite_file import open_flatbuffer, read_graph
from edgefer_convert.analysis.dequantize import dequantize
from edgefer_convert.formats.tflite_graph import GraphEditor
from edgefer_convert.gate.checks import run_checks
from edgefer_convert.gate.measurements import Measurements, calibrate, measure_formats
from edgefer_train.data.dataset import Dataset, Usage

HAPPY, NEUTRAL = 3, 6


@pytest.fixture(scope="module")
def float_logits(dataset: Dataset) -> Callable[[Pixels], Logits]:
    logits = open_classifier(open_bundle("tiny"), "onnx").logits(
        dataset.part(Usage.PrivateTest).images
    )
    return lambda _: logits


Measure = Callable[[Bundle], Measurements]


@pytest.fixture(scope="module")
def measure(dataset: Dataset, float_logits: Callable[[Pixels], Logits]) -> Measure:
    def measure(bundle: Bundle) -> Measurements:
        tuned, tables = calibrate(bundle, dataset)
        _, (first, *_) = measure_formats(tuned, dataset, float_logits, tables, 13 / 14)
        return first

    return measure


@pytest.fixture(scope="module")
def whole(measure: Measure) -> Measurements:
    """The model as it is."""
    return measure(shipped())


def failed(one: Measurements, limits: GateLimits | None = None) -> set[str]:
    """The checks that fail by the limits that ship, though there are 400 images only."""
    return {check.name for check in run_checks([one], limits).checks if not check.accepted}


def shipped() -> Bundle:
    """The two int8 files of the shipped bundle, which are compared with float."""
    bundle = open_bundle("tiny")
    files = {format: bundle.manifest.files[format] for format in ("int8", "onnx-int8")}
    return Bundle(
        bundle.path, msgspec.structs.replace(bundle.manifest, files=files), bundle.contents
    )


def with_file(format: str, content: bytes) -> Bundle:
    """The shipped bundle with another file in the place of one."""
    bundle = shipped()
    old = bundle.manifest.files[format]
    files = {**bundle.manifest.files, format: describe(old.path, content, old.target)}
    manifest = msgspec.structs.replace(bundle.manifest, files=files)
    return Bundle(bundle.path, manifest, {**bundle.contents, format: content})


def altered(change: Callable[[Any], None]) -> Bundle:
    """The shipped bundle, its int8 file changed."""
    model = open_flatbuffer(open_bundle("tiny").read("int8"), "tiny")
    change(model)
    return with_file("int8", GraphEditor(model).pack())


@cache
def layers() -> tuple[tuple[int, int, int], ...]:
    """Weights, biases and output of each layer that has weights, by their numbers."""
    graph = read_graph(open_bundle("tiny").read("int8"), "tiny")
    kinds = ("CONV_2D", "FULLY_CONNECTED")
    return tuple(
        (op.inputs[1], op.inputs[2], op.outputs[0]) for op in graph.ops if op.name in kinds
    )


def values(model: Any, tensor: int, dtype: type[np.generic]) -> np.ndarray:
    """A constant of a model, to be read or written."""
    made = model.subgraphs[0].tensors[tensor]
    content = np.array(model.buffers[made.buffer].data, np.uint8)
    model.buffers[made.buffer].data = content
    seen: np.ndarray = content.view(dtype).reshape(made.shape)
    return seen


def narrow(model: Any) -> None:
    """The scale of one layer's output is an eighth of what it was: larger values are clipped."""
    quantization = model.subgraphs[0].tensors[layers()[4][2]].quantization
    quantization.scale = [quantization.scale[0] / 8]


def clip(model: Any) -> None:
    """The weights of one layer are clipped at a twentieth of their range."""
    kernel = values(model, layers()[3][0], np.int8)
    kernel[...] = np.clip(kernel, -6, 6)


def exchange(model: Any) -> None:
    """Two labels of the first head change places."""
    kernel, bias, _ = layers()[-2]
    for tensor, dtype in ((kernel, np.int8), (bias, np.int32)):
        rows = values(model, tensor, dtype)
        rows[[HAPPY, NEUTRAL]] = rows[[NEUTRAL, HAPPY]]
        quantization = model.subgraphs[0].tensors[tensor].quantization
        if len(quantization.scale) > 1:
            scales = np.array(quantization.scale)
            scales[[HAPPY, NEUTRAL]] = scales[[NEUTRAL, HAPPY]]
            quantization.scale = scales


def test_the_model_as_it_is_passes(whole: Measurements) -> None:
    assert failed(whole) == set()


@pytest.mark.parametrize(
    ("damage", "caught"),
    [
        (narrow, {"accuracy drop of int8", "worst class of int8", "int8 = float"}),
        (clip, {"accuracy drop of int8", "worst class of int8", "int8 = float"}),
        (
            exchange,
            {
                "accuracy drop of int8",
                "worst class of int8",
                "int8 = float",
                "labels out of order",
            },
        ),
    ],
)
def test_damage_in_the_int8_file_is_caught_by_each_check_that_should(
    damage: Callable[[Any], None], caught: set[str], measure: Measure
) -> None:
    # The other int8 file is whole: it predicts something else now.
    assert failed(measure(altered(damage))) >= {*caught, "onnx-int8 = int8"}


def test_labels_exchanged_in_one_format_alone_are_caught_there(measure: Measure) -> None:
    model = onnx.load_model_from_string(open_bundle("tiny").read("onnx-int8"))
    for item in model.graph.initializer:
        array = numpy_helper.to_array(item)
        if 7 in array.shape and array.ndim <= 2:
            at = array.shape.index(7)
            order = [0, 1, 2, NEUTRAL, 4, 5, HAPPY]
            item.CopyFrom(numpy_helper.from_array(np.take(array, order, at), item.name))
    found = failed(measure(with_file("onnx-int8", model.SerializeToString())))
    assert found >= {"accuracy drop of onnx-int8", "onnx-int8 = float", "onnx-int8 = int8"}
    assert not any("of int8" in name for name in found)


def test_an_output_whose_scale_is_wrong_is_caught_by_its_calibration_alone(
    measure: Measure,
) -> None:
    bundle = shipped()
    head, other = bundle.manifest.heads
    # Thirty times is more than any temperature takes back.
    wrong = msgspec.structs.replace(
        head, affine=Affine(30 * head.affine.scale, head.affine.zero_point)
    )
    manifest = msgspec.structs.replace(bundle.manifest, heads=(wrong, other))
    found = failed(measure(Bundle(bundle.path, manifest, bundle.contents)))
    assert found >= {"calibration error of int8", "calibration error of onnx-int8"}
    assert not any("drop" in name or "=" in name for name in found)


def test_an_int8_file_that_computes_in_float_is_caught_though_it_predicts_the_same(
    measure: Measure,
) -> None:
    content = open_bundle("tiny").read("int8")
    graph = read_graph(content, "tiny")
    found = failed(measure(with_file("int8", dequantize(content, graph, graph.outputs))))
    assert "float tensors of int8" in found
    assert "accuracy drop of int8" not in found


def test_what_is_too_large_for_its_target_is_caught(whole: Measurements) -> None:
    size, macs = whole.bytes["int8"], whole.macs / 1e6
    fits = GateLimits(bytes=size, mmac=math.ceil(macs))
    assert failed(whole, fits) <= {"size of onnx-int8"}
    tight = GateLimits(bytes=size - 1, mmac=math.floor(macs))
    assert failed(whole, tight) >= {"size of int8", "multiply-accumulates"}


def test_less_than_all_on_the_edge_tpu_is_caught_where_all_is_wanted(whole: Measurements) -> None:
    all_of_it = GateLimits(edgetpu_mapped=1.0)
    assert failed(whole, all_of_it) == {"mapped to the Edge TPU"}
