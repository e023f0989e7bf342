"""What a model is worth, measured on a slice of real faces through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.bundle import open_bundle
from edgefer.cli import main
from edgefer.errors import DatasetError, RunError, SettingsError
from edgefer.runtime import open_classifier
from edgefer_train.data import sources
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.candidate import open_candidate, require_format
from edgefer_train.evaluation.evaluate import evaluate
from edgefer_train.run import Run
from support.runs import write_run
from support.slices import write_slice

PRIVATE = 120


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 200, 60, PRIVATE)


@pytest.fixture(scope="module")
def dataset(faces: Path) -> Dataset:
    return sources.load(faces)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("run") / "linear", dataset)


def edgefer(*words: object) -> Result:
    return CliRunner(env={"EDGEFER_DATA": ""}).invoke(main, [str(word) for word in words])


def test_a_bundle_is_measured_as_a_person_would_count(faces: Path, dataset: Dataset) -> None:
    report = json.loads(edgefer("evaluate", "small", "--data", faces, "--json").stdout)
    private = dataset.part(Usage.PrivateTest)
    logits = open_classifier(open_bundle("small")).logits(private.images)
    predicted = logits[:, :7].argmax(-1)
    assert report["n"] == PRIVATE
    assert report["format"] == "int8"
    assert report["accuracy"] == pytest.approx((predicted == private.labels).mean(), abs=1e-6)
    low, high = report["accuracy_interval"]
    assert low < report["accuracy"] < high
    assert np.sum(report["confusion"]) == PRIVATE
    assert np.trace(report["confusion"]) == (predicted == private.labels).sum()


def test_other_data_than_the_models_own_is_doubted_aloud(faces: Path) -> None:
    done = edgefer("evaluate", "small", "--data", faces)
    assert "fer2013 is not the dataset that small was trained on" in done.stderr
    assert "120 images" in done.stdout


def test_a_run_is_measured_in_both_its_stages(run: Run, faces: Path) -> None:
    float_ = json.loads(
        edgefer("evaluate", run.folder, "--data", faces, "--format", "float", "--json").stdout
    )
    qat = edgefer("evaluate", run.folder, "--data", faces, "--json")
    report = json.loads(qat.stdout)
    assert (float_["format"], report["format"]) == ("float", "qat")
    assert float_["agreement_with_float"] == 1
    assert 0 < report["agreement_with_float"] <= 1
    assert "not the dataset" not in qat.stderr


def test_a_temperature_that_no_one_knows_is_found_on_public_test(
    run: Run, dataset: Dataset
) -> None:
    done = evaluate(open_candidate(str(run.folder)), dataset, "float")
    assert done.temperature != 1
    assert done.calibration_error != done.calibration_error_before


def test_the_worst_mistakes_are_the_most_confident(dataset: Dataset) -> None:
    done = evaluate(open_candidate("small"), dataset)
    sure = [mistake.confidence for mistake in done.mistakes]
    assert sure == sorted(sure, reverse=True)
    private = dataset.part(Usage.PrivateTest)
    for mistake in done.mistakes:
        assert mistake.predicted != mistake.label == dataset.labels[private.labels[mistake.row]]
    assert done.annotators is not None
    assert 0 < done.annotators.with_model + done.annotators.with_label <= done.annotators.n
    assert done.annotators.n <= round(PRIVATE * (1 - done.accuracy))


def test_silence_is_measured_where_the_device_keeps_it(dataset: Dataset) -> None:
    done = evaluate(open_candidate("small"), dataset, threshold=0.6)
    assert done.at_threshold.threshold == 0.6
    assert done.coverage[0].n == PRIVATE
    shares = [point.coverage for point in done.coverage]
    assert shares == sorted(shares, reverse=True)


def test_ferplus_is_measured_on_its_majority(dataset: Dataset, tmp_path: Path) -> None:
    run = write_run(tmp_path / "votes", dataset, labels="ferplus")
    majority = dataset.with_labels("ferplus")
    done = evaluate(open_candidate(str(run.folder)), majority, "float")
    assert list(done.per_class) == list(majority.labels)
    assert done.n == len(majority.part(Usage.PrivateTest)) < PRIVATE
    assert done.same_dataset
    assert done.annotators is None, "there the label is the crowd's own"


def test_labels_that_do_not_fit_are_refused(run: Run, dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match=r"has the labels neutral, .*; small predicts angry"):
        evaluate(open_candidate("small"), dataset.with_labels("ferplus"))
    with pytest.raises(SettingsError, match="has no labels 'ferplus'; it has: fer2013"):
        open_candidate(str(run.folder), "ferplus")
    with pytest.raises(SettingsError, match="labels 'mine': small has fer2013, ferplus; choose"):
        open_candidate("small", "mine")


def test_data_without_private_test_is_refused_in_one_line(data: Path, tmp_path: Path) -> None:
    cut = write_slice(data, tmp_path / "fer2013.npz", 50, 10, 0)
    done = edgefer("evaluate", "small", "--data", cut)
    assert done.exit_code == 1
    assert "has no PrivateTest images" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("small", "--format", "qat"),
            "edgefer: small: has no format 'qat'; this bundle has: int8",
        ),
        (("nowhere",), "edgefer: nowhere: no such model bundle; shipped models: "),
        ((".",), "edgefer: .: neither a run (run.json) nor a model bundle (manifest.json)"),
    ],
)
def test_what_cannot_be_measured_is_said_before_data_is_read(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgefer("evaluate", *words)
    assert done.exit_code == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_run_without_a_model_says_what_to_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(run.record_file.read_bytes())
    with pytest.raises(RunError, match="has no finished model; run: edgefer train --resume"):
        require_format(open_candidate(str(tmp_path)), None)


@pytest.mark.parametrize("content", [b"{", b'{"recipe_name": "\xf6"}'])
def test_a_damaged_record_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json: "):
        open_candidate(str(tmp_path))


def test_a_damaged_model_is_one_line(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(run.record_file.read_bytes())
    (tmp_path / "float.h5").write_bytes(b"no HDF5")
    with pytest.raises(RunError, match=r"float\.h5: not a model that Keras can read: .*") as caught:
        evaluate(open_candidate(str(tmp_path)), dataset)
    assert "\n" not in str(caught.value)
