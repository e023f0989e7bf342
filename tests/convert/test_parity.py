from __future__ import annotations

import warnings
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgefer.bundle import Bundle, describe, open_bundle, write_bundle
from edgefer.console import FallbackWarning
from edgefer.errors import GateFailed
from edgefer.portrait import portrait_crops
from edgefer.preprocess import Pixels, Preprocess
from edgefer_convert.analysis.parity import LIMITS, Parity, measure_parity, settings_of
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import load

SETTINGS = {
    "int8", "int8, no XNNPACK",
    "onnx", "onnx, not optimized", "onnx, all optimizations",
    "onnx-int8", "onnx-int8, not optimized", "onnx-int8, all optimizations",
}  # fmt: skip


@pytest.fixture(scope="module")
def faces() -> Pixels:
    """Views of the demo portrait."""
    with warnings.catch_warnings():
        # Where BlazeFace is not installed, Haar finds the face as well.
        warnings.simplefilter("ignore", FallbackWarning)
        return portrait_crops(12, Preprocess())


@pytest.fixture(scope="module")
def parity(faces: Pixels) -> Parity:
    return measure_parity(open_bundle("tiny"), faces, "the portrait")


def test_the_portrait_is_seen_from_many_places(faces: Pixels) -> None:
    assert faces.shape[1:] == (48, 48)
    assert len(faces) >= 10
    assert len({face.tobytes() for face in faces}) == len(faces)


def test_every_format_of_the_shipped_bundle_is_compared_in_every_setting(parity: Parity) -> None:
    assert set(parity.settings) >= SETTINGS
    count = len(parity.settings)
    assert len(parity.pairs) == count * (count - 1) // 2
    for pair in parity.pairs:
        assert 0 <= pair.agreement <= 1
        assert 0 <= pair.mean <= pair.largest <= 1


def test_the_shipped_bundle_predicts_the_same_in_all_its_formats(parity: Parity) -> None:
    assert parity.passed
    parity.require_passed()
    kinds = {one.kind for one in parity.checks}
    assert kinds <= set(LIMITS)
    assert {"the same float32 weights", "the same int8 weights", "int8 by other kernels"} <= kinds


def test_int8_is_not_checked_against_float(parity: Parity) -> None:
    checked = {(one.pair.first, one.pair.second) for one in parity.checks}
    assert not checked & {("int8", "onnx"), ("onnx", "int8"), ("onnx-int8", "onnx")}


def test_basic_optimizations_are_exact_and_reported_so(parity: Parity) -> None:
    pairs = {(pair.first, pair.second): pair for pair in parity.pairs}
    assert pairs["onnx-int8", "onnx-int8, not optimized"].largest == 0
    findings = "\n".join(parity.findings)
    assert "onnx-int8, as deployed with basic optimizations: exact" in findings
    assert "with LiteRT's kernels without XNNPACK: changes" in findings
    assert "nearest to exact arithmetic" in findings


def test_formats_on_real_faces_keep_their_limits(data: Path) -> None:
    images = load(data).part(Usage.PrivateTest).images[:60]
    done = measure_parity(open_bundle("tiny"), images, "PrivateTest")
    assert done.n == 60
    done.require_passed()


def test_a_format_that_predicts_something_else_is_caught(tmp_path: Path, faces: Pixels) -> None:
    bundle = with_permuted_labels(open_bundle("tiny"), tmp_path / "permuted")
    done = measure_parity(bundle, faces, "the portrait")
    assert not done.passed
    with pytest.raises(GateFailed, match="int8 and onnx-int8 do not predict the same") as caught:
        done.require_passed()
    assert "\n" not in str(caught.value)


def with_permuted_labels(bundle: Bundle, out: Path) -> Bundle:
    """A bundle whose int8 ONNX file has its labels in another order."""
    model = onnx.load_model_from_string(bundle.read("onnx-int8"))
    logits = len(bundle.manifest.heads[0].labels)
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item)
        if values.ndim == 2 and logits in values.shape:
            turned = np.roll(values, 1, axis=values.shape.index(logits))
            item.CopyFrom(numpy_helper.from_array(turned, item.name))
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents["onnx-int8"] = model.SerializeToString()
    entry = bundle.manifest.files["onnx-int8"]
    changed = describe(entry.path, contents["onnx-int8"], entry.target)
    files = {**bundle.manifest.files, "onnx-int8": changed}
    return write_bundle(out, msgspec.structs.replace(bundle.manifest, files=files), contents)


def test_only_formats_of_the_bundle_are_opened() -> None:
    bundle = open_bundle("tiny")
    only = {"int8": bundle.manifest.files["int8"]}
    bare = Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, files=only), {})
    assert set(settings_of(bare, "fer2013")) == {"int8", "int8, no XNNPACK"}
