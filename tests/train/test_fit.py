from __future__ import annotations

import csv
import dataclasses
import errno
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from edgefer.errors import DatasetError, RunError
from edgefer.labels import FER2013, FERPLUS
from edgefer_train.architectures import build
from edgefer_train.data import sources
from edgefer_train.fitting.compiling import computing_in
from edgefer_train.fitting.fit import fit, writing
from edgefer_train.fitting.initial_weights import load_weights_from
from edgefer_train.recipe import Fit, Recipe
from edgefer_train.run import Run
from support.slices import write_slice

RECIPE = """
architecture = "small"
[fit]
epochs = 4
batch_size = 32
sizes = [32, 48]
# Compiling would take longer than these few steps.
xla = false
precision = "float32"
"""


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 320, 64, 64)


def curve(run: Path) -> list[dict[str, str]]:
    with (run / "float.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def start(recipe: Path, faces: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgefer.cli", "train", "--recipe", str(recipe)]
    command += ["--data", str(faces), "--out", str(out), *more]
    # One thread: how sums are split over threads would otherwise change the last digits.
    env = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env)


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_curve(faces: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    assert start(recipe, faces, tmp_path / "whole").wait() == 0

    killed = start(recipe, faces, tmp_path / "killed")
    while not (tmp_path / "killed" / "float.csv").exists():
        assert killed.poll() is None
        time.sleep(0.05)  # a real process, watched from outside
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(curve(tmp_path / "killed")) < 4
    assert start(recipe, faces, tmp_path / "killed", "--resume").wait() == 0

    whole, resumed = curve(tmp_path / "whole"), curve(tmp_path / "killed")
    assert len(whole) == len(resumed) == 4
    for expected, row in zip(whole, resumed, strict=True):
        values = {key: float(value) for key, value in row.items()}
        assert values == pytest.approx({k: float(v) for k, v in expected.items()}, abs=1e-5)


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe("small", fit=Fit(epochs=1, batch_size=32, xla=False, precision="float32"))
    out = tmp_path_factory.mktemp("run") / "run"
    return fit(recipe, "tiny", sources.load(faces), out, resume=False)


def test_a_run_tells_what_decided_it(trained: Run, faces: Path) -> None:
    record = trained.record()
    assert record.fingerprint == sources.load(faces).fingerprint
    assert list(record.heads) == ["fer2013", "ferplus"]
    assert record.macs < 60e6
    assert record.parameters < 1e6
    assert trained.float.model.is_file()


def test_a_run_shows_its_curves(trained: Run) -> None:
    image = cv2.imread(str(trained.folder / "float.png"))
    assert image is not None
    assert image.std() > 5, "something is drawn"


def test_a_run_tells_how_it_ended(trained: Run) -> None:
    outcome = trained.float.outcome()
    assert outcome is not None
    assert set(outcome.accuracy) == {"fer2013", "ferplus"}
    assert all(0.25 <= value <= 4 for value in outcome.temperature.values())
    assert outcome.calibration_error["fer2013"] < 0.2


def test_a_run_can_be_followed_in_tensorboard(trained: Run) -> None:
    (events,) = (trained.folder / "tensorboard" / "float").glob("events.*")
    tags = {
        value.tag
        for record in tf.data.TFRecordDataset(str(events))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }
    assert {"fer2013_loss", "val_fer2013_accuracy"} <= tags


def test_early_stopping_ends_a_fit_and_a_resume_leaves_it_ended(
    faces: Path, tmp_path: Path
) -> None:
    still = Fit(
        epochs=9,
        batch_size=32,
        xla=False,
        precision="float32",
        learning_rate=1e-12,
        schedule="plateau",
        early_stopping=2,
    )
    recipe = Recipe("small", fit=still)
    for resume in (False, True):
        run = fit(recipe, "tiny", sources.load(faces), tmp_path / "run", resume)
        assert len(run.float.rows()) < 9
        assert run.float.model.is_file()


def test_a_training_in_bfloat16_keeps_a_net_in_float32(
    trained: Run, faces: Path, tmp_path: Path
) -> None:
    short = Fit(epochs=1, batch_size=32, xla=False, precision="bfloat16")
    for resume in (False, True):
        run = fit(Recipe("small", fit=short), "tiny", sources.load(faces), tmp_path / "run", resume)
    model = keras.models.load_model(run.float.model, compile=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.mixed_precision.global_policy().name == "float32"
    (shorter,) = run.float.rows()
    # The same training, rounded: near, and not equal as it would be were nothing computed shorter.
    losses = float(shorter["loss"]), float(trained.float.rows()[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert losses[0] != losses[1]


def test_bfloat16_computes_shorter_and_answers_in_float32() -> None:
    with computing_in("bfloat16"):
        for name in ("small", "mini_xception"):
            model = build(name, {"fer2013": 7})
            computed = {layer.compute_dtype for layer in model.layers}
            assert computed == {"bfloat16", "float32"}
            assert model.output.dtype == tf.float32
            assert {weight.dtype for weight in model.weights} == {tf.float32}


def test_without_votes_there_is_one_head(
    faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgefer_train")
    whole = sources.load(faces)
    bare = dataclasses.replace(whole, faces=dataclasses.replace(whole.faces, votes=None))
    recipe = Recipe("small", fit=Fit(epochs=1, batch_size=32, xla=False, precision="float32"))
    run = fit(recipe, "tiny", bare, tmp_path / "run", resume=False)
    opening = "small, float: 320 images, 1 epochs of 10 steps of 32, float32, no XLA"
    assert opening in caplog.messages
    assert list(run.record().heads) == ["fer2013"]
    assert {"accuracy", "val_accuracy"} <= set(run.float.rows()[0])


def test_a_training_goes_on_from_the_weights_of_another(
    trained: Run, faces: Path, tmp_path: Path
) -> None:
    still = Fit(epochs=1, batch_size=32, xla=False, precision="float32", learning_rate=1e-12)
    recipe = Recipe("small", weights=str(trained.folder), fit=still)
    run = fit(recipe, "mine", sources.load(faces), tmp_path / "run", resume=False)
    for name in ("stem", "block3_a", "fer2013", "ferplus"):
        before, after = (
            keras.models.load_model(one.float.model, compile=False).get_layer(name).get_weights()
            for one in (trained, run)
        )
        np.testing.assert_allclose(after[0], before[0], atol=1e-6)


def test_a_head_for_other_labels_keeps_its_own_weights(trained: Run) -> None:
    learnt = keras.models.load_model(trained.float.model, compile=False)
    # As many labels as the run's, in another order.
    heads = {"fer2013": FER2013, "ferplus": FERPLUS[::-1]}
    model = build("small", {name: len(labels) for name, labels in heads.items()})
    fresh = model.get_layer("ferplus").get_weights()[0]
    load_weights_from(model, trained, heads)
    for name in ("stem", "fer2013"):
        kernel = learnt.get_layer(name).get_weights()[0]
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], kernel)
    np.testing.assert_array_equal(model.get_layer("ferplus").get_weights()[0], fresh)


def test_weights_of_another_architecture_are_refused(
    trained: Run, faces: Path, tmp_path: Path
) -> None:
    recipe = Recipe("tiny", weights=str(trained.folder))
    with pytest.raises(RunError, match="holds small, the recipe needs tiny"):
        fit(recipe, "mine", sources.load(faces), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_labels_that_the_dataset_lacks_are_refused(faces: Path, tmp_path: Path) -> None:
    recipe = Recipe("small", labels="ferplus")
    with pytest.raises(DatasetError, match="expects the labels of ferplus, fer2013 has angry"):
        fit(recipe, "tiny", sources.load(faces), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_a_training_is_never_overwritten(trained: Run, faces: Path) -> None:
    recipe = trained.record().recipe
    with pytest.raises(RunError, match="already holds a training; add --resume"):
        fit(recipe, "tiny", sources.load(faces), trained.folder, resume=False)


def test_another_recipe_cannot_resume_it(trained: Run, faces: Path) -> None:
    other = Recipe("small", fit=Fit(epochs=9))
    with pytest.raises(RunError, match="was trained with another recipe"):
        fit(other, "tiny", sources.load(faces), trained.folder, resume=True)


def test_a_folder_without_training_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no training here; run: edgefer train"):
        Run(tmp_path).record()


@pytest.mark.parametrize(
    "error",
    [
        NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "file/x"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        tf.errors.ResourceExhaustedError(None, None, "x.index; No space left on device"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named_in_one_line(error: Exception) -> None:
    refused = pytest.raises(RunError, match=r"^runs/x: cannot be written: ")
    with refused as caught, writing(Path("runs/x")):
        raise error
    assert "\n" not in str(caught.value)


def test_memory_that_is_exhausted_is_no_full_disk() -> None:
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    with pytest.raises(tf.errors.ResourceExhaustedError), writing(Path("runs/x")):
        raise error


def test_a_training_that_diverges_ends_at_once_with_advice(faces: Path, tmp_path: Path) -> None:
    short = Fit(epochs=3, batch_size=32, xla=False, precision="float32", learning_rate=10.0)
    # Such a decay turns each weight into 99 times its negative, step by step.
    wild = msgspec.structs.replace(short, warmup_epochs=0, average=0.0, weight_decay=1.0)
    recipe = Recipe("tiny", fit=wild)
    with pytest.raises(RunError, match=r"diverged; set a lower fit\.learning_rate than 10 "):
        fit(recipe, "wild", sources.load(faces), tmp_path / "run", resume=False)
    run = Run(tmp_path / "run")
    assert all(math.isfinite(float(row["loss"])) for row in run.float.rows())
    with pytest.raises(RunError, match="has no finished float model"):
        run.model(run.float)
