"""Classes of one's own: a run and a model from elsewhere become bundles that every verb takes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tf_keras as keras

from convert.conftest import edgefer, last_line
from edgefer.bundle import open_bundle
from edgefer_train.data.dataset import Dataset
from edgefer_train.data.sources import load
from edgefer_train.quantization.fake_quant import load_quantized
from edgefer_train.run import save_model
from support.external_model import fit_weights, keras_model
from support.runs import write_run

CLASSES = ("Bored", "Very Excited")
GATE = """
[gate]
accuracy_drop = inf
class_recall_drop = inf
agreement = 0
calibration_error = inf
parity = 0
label_order = inf
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark faces and bright ones, by the folders' names."""
    root, random = tmp_path_factory.mktemp("own"), np.random.default_rng(1)
    for level, name in enumerate(CLASSES):
        (root / name).mkdir()
        for at in range(90):
            rough = random.integers(100 * level, 100 * level + 150, (6, 6), np.uint8)
            cv2.imwrite(str(root / name / f"{at}.png"), cv2.resize(rough, (48, 48)))
    return root


@pytest.fixture(scope="module")
def own(images: Path) -> Dataset:
    return load(images, "folders", "72/8/20")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    (tmp_path / "gate.toml").write_text(GATE)
    return tmp_path / "gate.toml"


def test_a_run_on_own_classes_becomes_a_bundle_that_is_evaluated(
    images: Path, own: Dataset, gate: Path, tmp_path: Path
) -> None:
    run, out = write_run(tmp_path / "run", own, "folders"), tmp_path / "bundle"
    words = ("--run", run.folder, "--data", images, "--gate", gate, "--formats", "int8")
    edgefer("convert", *words, "--out", out)
    manifest = open_bundle(out).manifest
    assert (manifest.heads[0].labels, manifest.label_sets) == (CLASSES, ("folders",))
    assert (out / "labels.txt").read_text().splitlines() == list(CLASSES)
    assert "FER2013" not in str(manifest.licences)
    assert "Bored, Very Excited" in edgefer("model", "inspect", out).stdout
    edgefer("evaluate", out, "--data", images, "--format", "int8")
    edgefer("model", "parity", out, "--data", images, "--faces", 10)
    edgefer("model", "sensitivity", run.folder, "--data", images, "--faces", 10)


def test_a_run_is_refused_once_its_folders_have_other_names(
    images: Path, own: Dataset, tmp_path: Path
) -> None:
    run, renamed = write_run(tmp_path / "run", own, "folders"), tmp_path / "renamed"
    renamed.mkdir()
    for new, old in zip(("a", "b"), CLASSES, strict=True):
        (renamed / new).symlink_to(images / old)
    done = edgefer(
        "convert", "--run", run.folder, "--data", renamed, "--out", tmp_path / "b", status=1
    )
    assert "not by their labels; name the same dataset" in last_line(done)


@pytest.mark.parametrize("labels", ["Very Excited,Bored", "very excited, bored"])
def test_a_model_with_capital_class_names_becomes_a_bundle_that_is_evaluated(
    labels: str, images: Path, own: Dataset, gate: Path, tmp_path: Path
) -> None:
    model, out = tmp_path / "mine.h5", tmp_path / "bundle"
    save_model(keras_model(keras, fit_weights(own, CLASSES[::-1])), model)
    (tmp_path / "l.txt").write_bytes(b"\xef\xbb\xbf" + labels.replace(",", "\r\n").encode())
    words = ("--labels", tmp_path / "l.txt", "--data", images, "--split", "72/8/20")
    edgefer("convert", model, *words, "--gate", gate, "--formats", "int8", "--out", out)
    manifest = open_bundle(out).manifest
    assert (manifest.heads[0].labels, manifest.label_sets) == (CLASSES, ("folders",))
    assert manifest.heads[0].calibration.scores["int8"].accuracy > 0.9
    edgefer("evaluate", out, "--data", images, "--format", "int8")


def test_a_model_whose_weights_are_no_numbers_is_refused(
    images: Path, own: Dataset, tmp_path: Path
) -> None:
    run, lost = write_run(tmp_path / "run", own, "folders"), tmp_path / "lost.h5"
    for stage in (run.float, run.qat):
        model = load_quantized(stage.model)
        kernel = max(model.weights, key=lambda one: one.shape.num_elements())
        kernel.assign(kernel * np.nan)
        save_model(model, stage.model)
    lost.write_bytes(run.float.model.read_bytes())
    ways = (["--run", run.folder], [lost, "--labels", ",".join(CLASSES), "--split", "72/8/20"])
    for way in ways:
        done = edgefer("convert", *way, "--data", images, "--out", tmp_path / "b", status=1)
        assert "not finite: its training diverged; train it again" in last_line(done)
