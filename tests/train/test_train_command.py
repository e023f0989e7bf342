"""Recipes and trainings by the command line: changes, lists, interruptions, more epochs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tf_keras as keras
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.labels import FER2013
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import load
from edgefer_train.fitting.callbacks import BestCheckpoint, ProgressBar
from edgefer_train.fitting.initial_weights import build_model
from edgefer_train.run import Run
from support.slices import write_slice

SHORT = ["--recipe", "tiny", "--epochs", "2", "--set", "distill.teachers=[]"]
SHORT += ["--set", "fit.batch_size=32", "--set", "fit.checkpoint_minutes=0"]


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 128, 64, 64)


def edgefer(*words: object, status: int = 0) -> Result:
    done = CliRunner(env={"COLUMNS": "100"}).invoke(main, [str(word) for word in words])
    assert done.exit_code == status, done.output
    return done


def refusal(*words: object) -> str:
    return edgefer(*words, status=1).stderr.splitlines()[-1]


def weights(run: Path) -> list[np.ndarray]:
    model = keras.models.load_model(Run(run).float.model, compile=False)
    return [np.asarray(one) for one in model.get_weights()]


@pytest.mark.slow
def test_a_training_interrupted_within_an_epoch_goes_on_there_and_then_for_longer(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    told = edgefer("train", *SHORT, "--data", faces, "--out", whole).stderr
    assert "tiny: 69,951 parameters, 7.3 MMAC" in told
    assert "the gate of convert: accuracy drop at most 0.50%" in told

    def interrupt(self: Any, batch: int, logs: Any = None) -> None:
        save(self, batch, logs)
        if self.at == 2 and batch == 1:
            raise KeyboardInterrupt

    save = BestCheckpoint.on_train_batch_end
    monkeypatch.setattr(BestCheckpoint, "on_train_batch_end", interrupt)
    told = refusal("train", *SHORT, "--data", faces, "--out", stopped)
    assert told == f"edgefer: interrupted; continue it with: edgefer train --resume --out {stopped}"
    monkeypatch.setattr(BestCheckpoint, "on_train_batch_end", save)
    steps: list[int] = []
    show = ProgressBar.on_train_batch_end

    def note(self: Any, batch: int, logs: Any = None) -> None:
        steps.append(self.done)
        show(self, batch, logs)

    monkeypatch.setattr(ProgressBar, "on_train_batch_end", note)
    edgefer("train", "--resume", "--out", stopped, "--data", faces)
    assert steps == [6, 7], "two of the four steps of the second epoch were saved"
    for mine, other in zip(weights(stopped), weights(whole), strict=True):
        np.testing.assert_array_equal(mine, other)

    edgefer("train", "--resume", "--out", whole, "--data", faces, "--epochs", 3)
    assert [row["epoch"] for row in Run(whole).float.rows()] == ["1", "2", "3"]
    assert Run(whole).record().recipe.fit.epochs == 3
    told = refusal("train", "--resume", "--out", whole, "--data", faces, "--epochs", 2)
    assert "has 3 epochs already, expected at least as many, got 2; leave --epochs out" in told


def test_a_recipe_extends_another_in_its_folder_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "tiny"\n[fit]\nepochs = 3\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nseed = 7\n[gate]\nmmac = 5\n')
    done = edgefer("recipe", "check", tmp_path / "b.toml")
    assert "a training would start" in done.stdout
    assert "refuse this net as int8: mmac at least 7, the gate allows 5; raise" in done.stderr
    (tmp_path / "c.toml").write_text('extends = "d.toml"\n')
    (tmp_path / "d.toml").write_text('extends = "c.toml"\n')
    assert "extends itself by way of" in refusal("recipe", "check", tmp_path / "c.toml")


def test_check_lists_every_mistake_of_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        'extends = "tiny"\nside = 49\narchitecture = "mini_xception"\nweights = "/nowhere"\n'
        '[fit]\nbatch_size = 0\nepoch = 3\n[distill]\nteachers = ["/nobody"]\n'
    )
    found = edgefer("recipe", "check", path, status=1).stderr.splitlines()
    assert found[0].startswith(f"edgefer: {path}: fit.batch_size must be from 1 to ")
    assert found[1] == f"edgefer: {path}: unknown key 'fit.epoch'; did you mean 'fit.epochs'?"
    assert "/nowhere" in found[-2]
    assert found[-1].startswith("edgefer: /nobody: no teacher here")


def test_tensorflow_prints_nothing_of_itself() -> None:
    words = [sys.executable, "-m", "edgefer.cli", "recipe", "check", "custom_cnn"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "a training would start" in done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith("edgefer: ")] == []


def test_recipes_are_listed_and_shown_as_they_are_written(tmp_path: Path) -> None:
    listed = edgefer("recipe", "list").stdout
    assert "InceptionV3 (Szegedy et al. 2016) from ImageNet" in listed
    mine = tmp_path / "mine.toml"
    mine.write_text(edgefer("recipe", "show", "tiny").stdout)
    assert edgefer("recipe", "show", mine).stdout == mine.read_text()
    assert "known: custom_cnn, " in refusal("recipe", "show", "tinny")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("fit.batch_sise=32", "'fit.batch_sise'; did you mean 'fit.batch_size'"),
        ("fit.batch_size=0", "fit.batch_size must be from 1 to 1e+06, got 0"),
        ("fit.batch_size", "expected KEY=VALUE, as fit.batch_size=32"),
        ("fit.optimizer=sdg", "fit.optimizer must be one of adam, nadam, sgd, got sdg"),
        ("fit=3", "fit"),
    ],
)
def test_a_change_that_means_nothing_is_refused(change: str, message: str, tmp_path: Path) -> None:
    told = refusal("train", "--set", change, "--out", tmp_path / "run")
    assert told.startswith(f"edgefer: --set {change}:")
    assert message in told
    told = refusal("train", "--split", "80/20", "--out", tmp_path / "run")
    assert "--split=80/20: split must be one of 72/8/20, official, got 80/20" in told


@pytest.fixture(scope="module")
def own(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder for each of three of FER2013's classes, 20 images each."""
    folder = tmp_path_factory.mktemp("own")
    with np.load(data / "fer2013.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    for name in ("Happy", "Neutral", "Sad"):
        (folder / name).mkdir()
        for row in np.flatnonzero(labels == FER2013.index(name.lower()))[:20]:
            cv2.imwrite(str(folder / name / f"{row}.png"), images[row])
    return folder


@pytest.mark.slow
def test_a_training_starts_from_a_bundle_first_with_its_head_alone(
    own: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    short = ["--epochs", 1, "--set", "head.epochs=1"]
    told = edgefer("train", "--from", "tiny", "--data", own, "--out", out, *short).stderr
    run = Run(out)
    recipe = run.record().recipe
    assert (recipe.architecture, recipe.weights) == ("tiny", "tiny")
    assert (recipe.labels, recipe.split) == ("folders", "72/8/20")
    assert run.record().heads == {"folders": ("Happy", "Neutral", "Sad")}
    assert run.record().recipe_name == "finetune"
    assert "of 12 held-out images are right" in told
    assert re.search(
        r"tiny \d+\.\d%: it (beats|is worse than|cannot be told apart from) tiny", told
    )

    images = load(own, "folders", "72/8/20").part(Usage.Training).images
    first = build_model(recipe, run.record().heads, 48, images)
    after = build_model(recipe, run.record().heads, 48)
    after.load_weights(run.head.weights)
    for before, layer in zip(first.layers, after.layers, strict=True):
        pairs = zip(before.get_weights(), layer.get_weights(), strict=True)
        same = all(np.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in pairs)
        assert same == (layer.name != "folders"), layer.name


def test_a_start_that_has_no_weights_is_refused(own: Path, tmp_path: Path) -> None:
    for start in ("smal", tmp_path):
        told = refusal("train", "--from", start, "--data", own, "--out", tmp_path / "run")
        assert str(start) in told
