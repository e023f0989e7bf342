from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from support.slices import write_slice

RECIPE = """
architecture = "tiny"
[fit]
epochs = 2
batch_size = 32
# So small that rounding stays rounding: at 0.05 a fresh net multiplies it tenfold a step.
learning_rate = 0.001
xla = false
precision = "float32"
[augment]
mixup = 0.2
"""


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 320, 64, 64)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "mine.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def of_one(faces: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, without a strategy."""
    out = tmp_path_factory.mktemp("one") / "run"
    assert finish(start(recipe, faces, out)) == ""
    return out


def start(
    recipe: Path, faces: Path, out: Path, *more: str, config: str = ""
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgefer.cli", "train", "--recipe", str(recipe)]
    command += ["--data", str(faces), "--out", str(out), *more]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    env |= {"TF_CONFIG": config} if config else {}
    # One thread: how sums are split over threads would otherwise change the last digits.
    env |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=env, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a training; return what it refused in one line, or nothing where it did not."""
    _, log = process.communicate()
    assert process.returncode in (0, 1), log
    assert "Traceback" not in log
    lines = [line for line in log.splitlines() if line.startswith("edgefer: ")]
    return lines[-1] if process.returncode else ""


def start_two(
    recipes: tuple[Path, Path], faces: Path, outs: tuple[Path, Path], *more: str
) -> list[subprocess.Popen[str]]:
    """Start two workers that meet on this machine."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("localhost", 0))
        two.bind(("localhost", 0))
        addresses = [f"localhost:{taken.getsockname()[1]}" for taken in (one, two)]
    workers = []
    for index, (recipe, out) in enumerate(zip(recipes, outs, strict=True)):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        words = ("--strategy", "multiworker", *more)
        workers.append(start(recipe, faces, out, *words, config=json.dumps(task)))
    return workers


def losses(run: Path) -> list[dict[str, float]]:
    with (run / "float.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if k.endswith("loss")} for row in rows]


def assert_same_curve(one: Path, other: Path) -> None:
    expected, got = losses(one), losses(other)
    assert len(expected) == len(got) == 2
    for left, right in zip(expected, got, strict=True):
        assert right == pytest.approx(left, rel=1e-3)


@pytest.mark.slow
def test_two_devices_follow_the_curve_of_one(
    faces: Path, recipe: Path, of_one: Path, tmp_path: Path
) -> None:
    assert finish(start(recipe, faces, tmp_path / "run", "--strategy", "mirrored:2")) == ""
    assert_same_curve(of_one, tmp_path / "run")
    names = {path.name for path in of_one.iterdir()}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names


@pytest.mark.slow
def test_two_workers_that_were_killed_and_resumed_follow_the_curve_of_one(
    faces: Path, recipe: Path, of_one: Path, tmp_path: Path
) -> None:
    outs = tmp_path / "first", tmp_path / "second"
    killed = start_two((recipe, recipe), faces, outs)
    while not (outs[0] / "float.checkpoint" / "checkpoint").exists():
        assert [worker.poll() for worker in killed] == [None, None]
        time.sleep(0.05)  # real processes, watched from outside
    for worker in killed:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    assert len(losses(outs[0])) < 2

    resumed = start_two((recipe, recipe), faces, outs, "--resume")
    assert [finish(worker) for worker in resumed] == ["", ""]
    assert_same_curve(of_one, outs[0])
    names = {path.name for path in of_one.iterdir()}
    assert {path.name for path in outs[0].iterdir()} == names
    assert not outs[1].exists(), "only the first worker keeps the training"


def test_when_the_first_worker_refuses_all_say_why(
    faces: Path, recipe: Path, of_one: Path, tmp_path: Path
) -> None:
    workers = start_two((recipe, recipe), faces, (of_one, tmp_path / "second"))
    first, second = (finish(worker) for worker in workers)
    assert first.endswith("already holds a training; add --resume to continue it")
    assert second == f"edgefer: the first worker refuses: {first.removeprefix('edgefer: ')}"


def test_workers_with_different_recipes_do_not_begin(
    faces: Path, recipe: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace("0.001", "0.002"))
    outs = tmp_path / "first", tmp_path / "second"
    for worker in start_two((recipe, other), faces, outs):
        assert "1 of 2 workers have another recipe or dataset than the first" in finish(worker)


def test_a_batch_that_the_devices_cannot_share_is_refused(
    faces: Path, recipe: Path, tmp_path: Path
) -> None:
    line = finish(start(recipe, faces, tmp_path / "run", "--strategy", "mirrored:3"))
    assert line.startswith("edgefer: batch_size 32 cannot be shared by 3 replicas")
    assert not (tmp_path / "run").exists()


def train(faces: Path, out: Path, strategy: str, config: str | None) -> Result:
    words = ["train", "--data", str(faces), "--out", str(out), "--strategy", strategy]
    return CliRunner(env={"TF_CONFIG": config}).invoke(main, words)


ONE = '{"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": %s}}'


@pytest.mark.parametrize(
    ("strategy", "config", "line"),
    [
        ("mirorred", None, "unknown strategy 'mirorred'; known: none, mirrored"),
        ("mirrored:0", None, "unknown strategy 'mirrored:0'"),
        ("multiworker:x", None, "unknown strategy 'multiworker:x'"),
        ("none:2", None, "unknown strategy 'none:2'"),
        (
            "mirrored",
            ONE % 0,
            "--strategy mirrored is for one machine, and TF_CONFIG names several",
        ),
        ("multiworker", None, "--strategy multiworker needs the workers' addresses: TF_CONFIG="),
        ("multiworker", "{", "TF_CONFIG: Input data was truncated; expected: TF_CONFIG="),
        ("multiworker", "{}", "TF_CONFIG: Object missing required field `cluster`; expected:"),
        ("multiworker", ONE % 1, "TF_CONFIG: task index 1 is none of the 1 addresses of 'worker'"),
        ("multiworker", ONE % '"a"', "TF_CONFIG: Expected `int`, got `str` - at `$.task.index`"),
        (
            "multiworker",
            (ONE % 0).replace("localhost:1", "here"),
            "TF_CONFIG: 'here' is not an address, expected HOST:PORT",
        ),
        (
            "multiworker",
            (ONE % 0).replace("localhost:1", 'a:70000", "b:1'),
            "TF_CONFIG: 'a:70000' is not an address, expected HOST:PORT",
        ),
    ],
)
def test_a_strategy_that_cannot_be_used_is_one_line(
    faces: Path, tmp_path: Path, strategy: str, config: str | None, line: str
) -> None:
    done = train(faces, tmp_path / "run", strategy, config)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"edgefer: {line}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def start_alone(faces: Path, out: Path, recipe: Path, strategy: str) -> tuple[str, Any]:
    """Start a worker whose peer, whose address is returned, never comes."""
    with socket.socket() as mine, socket.socket() as nobody:
        mine.bind(("localhost", 0))
        nobody.bind(("localhost", 0))
        addresses = [f"localhost:{one.getsockname()[1]}" for one in (mine, nobody)]
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    process = start(recipe, faces, out, "--strategy", strategy, config=json.dumps(task))
    return addresses[1], process


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_names_whom_it_waits_for_and_ends_at_a_signal(
    faces: Path, recipe: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    peer, waits = start_alone(faces, tmp_path / "run", recipe, "multiworker")
    told = f"edgefer: waiting for {peer}, at most 10 minutes\n"
    assert waits.stderr is not None
    assert told in iter(waits.stderr.readline, "")
    waits.send_signal(sent)
    left = waits.stderr.read()
    assert "Traceback" not in left
    if sent == signal.SIGINT:
        assert waits.wait() == 1
        assert left.startswith("edgefer: interrupted; continue it with: edgefer train --resume")
    else:
        assert waits.wait() == -signal.SIGTERM
    waits.stderr.close()


def test_a_worker_gives_up_when_its_peer_does_not_come(
    faces: Path, recipe: Path, tmp_path: Path
) -> None:
    peer, waits = start_alone(faces, tmp_path / "run", recipe, "multiworker:0.01")
    assert finish(waits).startswith(f"edgefer: waited 0.01 minutes, {peer} did not come; start")
    assert not (tmp_path / "run").exists()
