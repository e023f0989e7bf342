"""A run of two heads becomes one bundle that has both in each file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from convert.conftest import edgefer, last_line
from edgefer.bundle import Bundle, open_bundle
from edgefer.labels import FER2013, FERPLUS
from edgefer.litert import tflite_tensors
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_convert.importers.keras_model import logits_of
from edgefer_convert.importers.run import load_heads
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.run import Run
from support.heads import split_logits
from support.runs import write_run

GATE = """
[gate]
accuracy_drop = inf
class_recall_drop = inf
agreement = 0
calibration_error = inf
parity = 0
label_order = inf
"""
FORMATS = "int8,onnx,onnx-int8,onnx-symmetric,float16,uint8,dynamic,int16x8,mobile,keras"


@pytest.fixture(scope="module")
def both(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("both") / "linear", dataset, votes=True)


@pytest.fixture(scope="module")
def bundle(both: Run, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "gate.toml").write_text(GATE)
    words = ("convert", "--run", both.folder, "--data", faces, "--gate", folder / "gate.toml")
    edgefer(*words, "--formats", FORMATS, "--labels", "ferplus", "--out", folder / "bundle")
    return open_bundle(folder / "bundle")


@pytest.fixture(scope="module")
def crops(dataset: Dataset) -> Pixels:
    return dataset.part(Usage.PrivateTest).images[:40]


def test_the_manifest_describes_each_head_and_both(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert {head.label_set: head.labels for head in manifest.heads} == {
        "fer2013": FER2013,
        "ferplus": FERPLUS,
    }
    assert manifest.decoder().label_set == "both"
    for label_set, found in manifest.calibrations.items():
        assert 0 < found.threshold < 1
        expected = {"float", *FORMATS.split(",")} - (
            {"mobile"} if label_set != "ferplus" else set()
        )
        assert set(found.scores) == expected
    named = manifest.calibrations
    assert named["ferplus"].scores["int8"].n < named["fer2013"].scores["int8"].n == 400
    assert named["both"].scores["int8"].n == 400


@pytest.mark.parametrize("format", FORMATS.split(","))
def test_each_file_has_the_logits_of_each_head(
    both: Run, bundle: Bundle, crops: Pixels, format: str
) -> None:
    heads = bundle.manifest.heads
    expected = split_logits(
        heads, logits_of(load_heads(both, both.float, ("fer2013", "ferplus")))(crops)
    )
    of_file = bundle.manifest.heads_of(format)
    found = split_logits(of_file, open_classifier(bundle, format).logits(crops))
    assert list(found) == (["ferplus"] if format == "mobile" else ["fer2013", "ferplus"])
    for label_set, logits in found.items():
        own = expected[label_set]
        # The probabilities of phones have lost what is common to all logits.
        apart = [one - one.mean(-1, keepdims=True) for one in (logits, own)]
        assert np.abs(apart[0] - apart[1]).max() < 0.2 * np.abs(own).max() + 0.2


def test_uint8_is_int8_to_the_bit_for_bytes(bundle: Bundle, crops: Pixels) -> None:
    (image, *_), (logits, *_) = (
        tflite_tensors(bundle.read("uint8"), which) for which in ("inputs", "outputs")
    )
    assert (image.dtype, logits.dtype, image.shape) == ("uint8", "uint8", (1, 48, 48, 1))
    found, expected = (open_classifier(bundle, one).logits(crops) for one in ("uint8", "int8"))
    np.testing.assert_array_equal(found, expected)
    for head in bundle.manifest.heads:
        scores = head.calibration.scores
        assert scores["uint8"] == scores["int8"]


def test_int16x8_and_dynamic_keep_weights_in_int8(bundle: Bundle) -> None:
    kinds = {
        one: {t.dtype for t in tflite_tensors(bundle.read(one))} for one in ("int16x8", "dynamic")
    }
    assert {"int8", "int16"} <= kinds["int16x8"]
    assert {"int8", "float32"} <= kinds["dynamic"]


def test_onnx_int8_is_made_without_the_file_that_it_comes_from(
    both: Run, bundle: Bundle, faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "gate.toml").write_text(GATE)
    words = ("--run", both.folder, "--data", faces, "--gate", tmp_path / "gate.toml")
    out = tmp_path / "b"
    edgefer("convert", *words, "--formats", "onnx-int8", "--name", "Hall mirror", "--out", out)
    alone = open_bundle(out)
    assert set(alone.manifest.files) == {"onnx", "onnx-int8", "labels", "card"}
    assert alone.manifest.name == "Hall mirror"
    assert alone.read("onnx-int8") == bundle.read("onnx-int8")
    assert alone.manifest.input == bundle.manifest.input
    expected = [head.affine for head in bundle.manifest.heads]
    assert [head.affine for head in alone.manifest.heads] == expected


@pytest.mark.parametrize("labels", ["fer2013", "ferplus", "both"])
def test_each_verb_reads_the_labels_that_are_named(
    bundle: Bundle, faces: Path, labels: str
) -> None:
    words = (bundle.path, "--data", faces, "--labels", labels)
    done = json.loads(edgefer("evaluate", *words, "--json").stdout)
    expected = bundle.manifest.calibrations[labels].scores["int8"]
    assert done["model"]["label_set"] == labels
    assert (done["n"], done["accuracy"]) == (expected.n, pytest.approx(expected.accuracy, abs=1e-6))
    parity = json.loads(edgefer("model", "parity", *words, "--faces", 10, "--json").stdout)
    assert ("mobile" in parity["settings"]) == (labels == "ferplus")
    edgefer("model", "sensitivity", *words, "--faces", 10)
    table = edgefer("model", "formats", bundle.path, "--labels", labels, "--seconds", 0.05)
    assert f"linear, {labels}" in table.stdout


def test_labels_that_a_bundle_has_not_are_refused(bundle: Bundle, faces: Path) -> None:
    done = edgefer("evaluate", bundle.path, "--data", faces, "--labels", "mine", status=1)
    assert "labels 'mine': linear has fer2013, ferplus; choose one of these" in last_line(done)
    words = ("--labels", "fer2013", "--format", "mobile")
    done = edgefer("evaluate", bundle.path, "--data", faces, *words, status=1)
    assert "has no format 'mobile'" in last_line(done)
