"""One run and one slice of real faces for all conversions, and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer_train.data.dataset import Dataset
from edgefer_train.data.sources import load
from edgefer_train.run import Run
from support.runs import write_run
from support.slices import write_slice


@pytest.fixture(scope="session")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("faces") / "fer2013.npz", 500, 200, 400)


@pytest.fixture(scope="session")
def dataset(faces: Path) -> Dataset:
    return load(faces)


@pytest.fixture(scope="session")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of one layer, trained for no time at all."""
    return write_run(tmp_path_factory.mktemp("runs") / "linear", dataset)


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with the shell's own programs and this empty folder before them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def edgefer(*words: object, status: int = 0) -> Result:
    """Run the command; its exit status must be `status`, and only an error of ours may end it."""
    # Wide enough that no line of a table is folded.
    done = CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(word) for word in words])
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done


def last_line(done: Result) -> str:
    return done.stderr.splitlines()[-1]
