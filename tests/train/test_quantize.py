from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edgefer_train.data import sources
from edgefer_train.data.dataset import Usage
from edgefer_train.fitting.fit import fit, predict
from edgefer_train.quantization.fake_quant import load_quantized
from edgefer_train.recipe import Distill, FineTune, Fit, Recipe
from edgefer_train.run import Run
from support.slices import write_slice

RAW = Recipe(
    "tiny",
    fit=Fit(epochs=2, batch_size=32, xla=False, precision="float32"),
    quantize=FineTune(epochs=3, learning_rate=1e-4),
)


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 320, 64, 64)


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run") / "run"
    return fit(RAW, "raw", sources.load(faces), folder, resume=False)


def quantize(run: Run, faces: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgefer.cli", "quantize"]
    command += ["--run", str(run.folder), "--data", str(faces)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env)


@pytest.mark.slow
def test_a_killed_quantization_goes_on_and_keeps_both_heads(trained: Run, faces: Path) -> None:
    killed = quantize(trained, faces)
    while not list(trained.folder.glob("qat-*.checkpoint/checkpoint")):
        assert killed.poll() is None
        time.sleep(0.05)  # a real process, watched from outside
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not trained.qat.model.exists()
    done = [row["seconds"] for row in trained.qat.rows()]
    assert quantize(trained, faces).wait() == 0
    rows = trained.qat.rows()
    assert len(rows) == 3
    assert "val_fer2013_agreement" in rows[0]
    assert not [name for name in rows[0] if "accuracy" in name], "its targets are float's labels"
    assert [row["seconds"] for row in rows][: len(done)] == done, "no epoch was done again"

    outcome = trained.qat.outcome()
    assert outcome is not None
    assert set(outcome.temperature) == {"fer2013", "ferplus"}
    some = sources.load(faces).part(Usage.PrivateTest)
    predicted = predict(load_quantized(trained.qat.model), some)
    assert {head: logits.shape for head, logits in predicted.items()} == {
        "fer2013": (64, 7),
        "ferplus": (64, 8),
    }


def test_a_student_learns_from_a_run(trained: Run, faces: Path, tmp_path: Path) -> None:
    teachers = Distill(teachers=(str(trained.folder),), weight=0.9)
    recipe = msgspec.structs.replace(RAW, distill=teachers)
    student = fit(recipe, "student", sources.load(faces), tmp_path / "run", resume=False)
    assert len(student.float.rows()) == 2
    # The teachers' doubts make the targets softer: less can be learnt from them than from labels.
    loss, own = (float(run.float.rows()[0]["fer2013_loss"]) for run in (student, trained))
    assert loss != pytest.approx(own, abs=1e-3)
