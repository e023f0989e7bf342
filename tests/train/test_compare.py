"""Models side by side: what is told without looking at PrivateTest, and what with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import CliRunner, Result

from edgefer.bundle import open_bundle
from edgefer.cli import main
from edgefer_train.data import sources
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.comparison_charts import spread
from edgefer_train.run import Outcome, Run
from support.runs import write_run
from support.slices import write_slice


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 200, 60, 120)


@pytest.fixture(scope="module")
def dataset(faces: Path) -> Dataset:
    return sources.load(faces)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("run") / "linear", dataset)


def edgefer(*words: object, data: Path | str = "") -> Result:
    environment = {"EDGEFER_DATA": str(data), "COLUMNS": "100"}
    return CliRunner(env=environment).invoke(main, [str(word) for word in words])


def compared(*words: object, data: Path | str = "") -> Any:
    done = edgefer("model", "compare", *words, "--json", data=data)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def test_a_run_is_told_by_public_test_and_a_bundle_by_its_manifest(run: Run, faces: Path) -> None:
    ours, shipped = compared(run.folder, "small", data=faces)
    assert ours["fits"] == [
        {
            "stage": "float",
            "epochs": 3,
            "planned": 4,
            "best_epoch": 2,
            "public_accuracy": 0.5,
            "public_agreement": None,
        }
    ]
    assert (ours["scores"], ours["float_accuracy"], ours["source"]) == (None, None, None)
    assert ours["model"]["minutes"] == 1.0
    evidence = open_bundle("small").manifest.evidence
    assert shipped["source"] == "manifest"
    told = open_bundle("small").manifest.calibrations["fer2013"].scores["int8"].accuracy
    assert shipped["scores"]["accuracy"] == pytest.approx(told, abs=1e-6)
    assert shipped["bytes"] == len(open_bundle("small").read("int8"))
    assert shipped["model"]["macs"] == evidence.macs


def test_the_agreement_of_a_quantized_run_is_not_shown_as_its_accuracy(
    dataset: Dataset, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "mine", dataset)
    figures = {"loss": 2.0, "agreement": 0.7, "val_loss": 1.9, "val_agreement": 0.88}
    run.qat.add_row({"epoch": 1, "seconds": 20.0, **figures})
    found = {"fer2013": 0.3067}
    run.qat.write_outcome(Outcome(accuracy=found, temperature=found, calibration_error=found))
    cell = edgefer("model", "compare", run.folder).stdout.partition("PublicTest, qat")[2]
    assert [line.split()[-2] for line in cell.splitlines()[:2]] == ["30.67%", "88.00%"]
    assert "as float 88.00%" in cell
    qat = compared(run.folder)[0]["fits"][1]
    assert (qat["public_accuracy"], qat["public_agreement"]) == (0.3067, 0.88)


def test_with_data_each_is_measured_and_tested_against_the_first(
    run: Run, faces: Path, dataset: Dataset
) -> None:
    shipped, ours = compared("small", run.folder, "--data", faces)
    assert [row["source"] for row in (shipped, ours)] == ["measured"] * 2
    assert [row["format"] for row in (shipped, ours)] == ["int8", "qat"]
    assert shipped["against_first"] is None
    paired, n = ours["against_first"], len(dataset.part(Usage.PrivateTest))
    assert paired["n"] == n
    gap = paired["only_first"] - paired["only_second"]
    difference = shipped["scores"]["accuracy"] - ours["scores"]["accuracy"]
    assert gap / n == pytest.approx(difference, abs=1e-5)
    assert paired["p_value"] < 0.05, "an untrained net is worse"


def test_models_that_saw_other_images_are_not_paired(
    run: Run, faces: Path, dataset: Dataset, tmp_path: Path
) -> None:
    votes = write_run(tmp_path / "votes", dataset, labels="ferplus")
    first, second = compared(run.folder, votes.folder, "--data", faces)
    assert second["scores"]["n"] < first["scores"]["n"]
    assert second["against_first"] is None


def test_the_table_names_every_model_and_shows_what_was_not_measured(run: Run) -> None:
    told = edgefer("model", "compare", run.folder, "small").stdout
    size = f"{len(open_bundle('small').read('int8')):,}"
    for word in ("linear", "small", "1,015", size, "50.00%", "epoch 2 of 3/4"):
        assert word in told
    assert "not measured" in told
    assert "Runs are chosen on PublicTest" in told


def test_many_models_become_several_tables(run: Run) -> None:
    told = edgefer("model", "compare", *[run.folder] * 9).stdout
    assert told.count("parameters") == 3
    assert told.count("1,015") == 9
    assert max(map(len, told.splitlines())) <= 100


def test_the_folder_holds_the_figures_and_the_charts(run: Run, tmp_path: Path) -> None:
    done = edgefer("model", "compare", run.folder, "small", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    lies = {path.name for path in (tmp_path / "out").iterdir()}
    assert lies == {"comparison.json", "curves.png", "cost.png"}
    for name in ("curves.png", "cost.png"):
        image = cv2.imread(str(tmp_path / "out" / name))
        assert image is not None
        assert image.std() > 5


def test_the_words_beside_two_marks_do_not_lie_on_each_other() -> None:
    near = spread([(16, 0.66), (16, 0.65), (17, 0.655)], gap=0.02)
    assert near == pytest.approx([0.69, 0.65, 0.67])
    assert spread([(16, 0.66), (60, 0.66)], gap=0.02) == [0.66, 0.66]


def test_what_is_no_model_is_one_line(tmp_path: Path) -> None:
    done = edgefer("model", "compare", "small", tmp_path)
    assert done.exit_code == 1
    assert "neither a run (run.json) nor a model bundle" in done.stderr
    assert done.stderr.count("\n") == 1
