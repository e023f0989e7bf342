"""`tools/train_queue.sh`, with a stand-in for the command that only writes what a run leaves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

QUEUE = Path(__file__).parents[2] / "tools" / "train_queue.sh"
EDGEFER = """#!/bin/sh
echo "$@"
case $* in
    *broken*) exit 1 ;;
    train*) mkdir -p "$7" && touch "$7/run.json" "$7/float.json" ;;
    quantize*) touch "$3/qat.json" ;;
esac
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    (tmp_path / "edgefer").write_text(EDGEFER)
    (tmp_path / "edgefer").chmod(0o755)
    return tmp_path / "runs"


def queue(runs: Path, *recipes: str) -> int:
    words = ["bash", QUEUE, "faces", runs, *recipes]
    environment = {**os.environ, "EDGEFER": str(runs.parent / "edgefer")}
    return subprocess.run(list(map(str, words)), check=False, env=environment).returncode


def test_recipes_are_trained_and_quantized_in_turn_whatever_one_of_them_does(runs: Path) -> None:
    assert queue(runs, "broken", "own/tiny.toml") == 1
    asked = f"train --recipe broken --data faces --out {runs}/broken\n"
    assert (runs / "broken.log").read_text() == asked
    assert (runs / "tiny.log").read_text().splitlines() == [
        f"train --recipe own/tiny.toml --data faces --out {runs}/tiny",
        f"quantize --run {runs}/tiny --data faces",
    ]


def test_what_is_finished_is_skipped_and_what_was_interrupted_resumed(runs: Path) -> None:
    (runs / "half").mkdir(parents=True)
    (runs / "half" / "run.json").touch()
    for _ in range(2):
        assert queue(runs, "half") == 0
    first, *rest = (runs / "half.log").read_text().splitlines()
    assert first.endswith("--resume")
    assert rest == [f"quantize --run {runs}/half --data faces"]
