"""The wheels that a Raspberry Pi gets, in emulation: what they read in a clip, beside x86."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rig.card import PYTHONS, root, wheels
from rig.emulation import inside
from support.firmware_files import run

FRAMES = 30
SITE = "opt/site"
CLIP = "single_face.mp4"
FURTHEST = 0.05
"""Between two probabilities: int8 counts differ by one or two from processor to processor."""
FURTHEST_BOX = 4.0
"""Pixels, of 640."""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def arm(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the daemon tells of the clip on Arm, frame by frame."""
    layer, work = tmp_path_factory.mktemp("arm"), tmp_path_factory.mktemp("work")
    install(layer / SITE, work)
    (layer / "clip.mp4").write_bytes((data / "clips" / CLIP).read_bytes())
    with inside(root("arm64"), [layer], work) as run_there:
        said = run_there(
            "env", f"PYTHONPATH=/{SITE}", "python3", *daemon("/clip.mp4"), seconds=3000
        )
    assert said.status == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


@pytest.fixture(scope="module")
def here(data: Path) -> list[dict[str, Any]]:
    """What it tells of the clip on this machine."""
    said = run(sys.executable, *daemon(str(data / "clips" / CLIP)), seconds=300)
    assert said.status == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


def install(site: Path, work: Path) -> None:
    """Unpack the wheels for Arm as pip does there, without its minutes in emulation."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--target", str(site)]
    wanted = wheels(work, "arm64")
    subprocess.run([*command, *PYTHONS["arm64"].pip_options(), *map(str, wanted)], check=True)


def daemon(clip: str) -> list[str]:
    options = ["--detector", "blazeface", "--sink", "jsonl:-", "--frames", str(FRAMES)]
    return ["-m", "edgefer.cli", "run", "--camera", f"file:{clip}", *options]


def test_it_reads_every_frame(arm: list[dict[str, Any]]) -> None:
    assert [report["frame"] for report in arm] == list(range(FRAMES))


def test_it_sees_the_same_faces(arm: list[dict[str, Any]], here: list[dict[str, Any]]) -> None:
    for there, one in zip(arm, here, strict=True):
        assert len(there["faces"]) == len(one["faces"])
        for its, ours in zip(there["faces"], one["faces"], strict=True):
            moved = [abs(a - b) for a, b in zip(its["box"], ours["box"], strict=True)]
            assert max(moved) < FURTHEST_BOX


def test_it_reads_the_same_moods(arm: list[dict[str, Any]], here: list[dict[str, Any]]) -> None:
    assert {report["mood"] for report in arm} > {None}
    differing = [a["frame"] for a, b in zip(arm, here, strict=True) if a["mood"] != b["mood"]]
    # A mood that changes may change a frame sooner or later.
    assert len(differing) <= 2


def test_its_probabilities_are_near(arm: list[dict[str, Any]], here: list[dict[str, Any]]) -> None:
    pairs = [
        (its["probabilities"], ours["probabilities"])
        for there, one in zip(arm, here, strict=True)
        for its, ours in zip(there["faces"], one["faces"], strict=True)
    ]
    assert len(pairs) > FRAMES / 2
    far = max(distance(*pair) for pair in pairs)
    print(f"\nfurthest probability on Arm from here: {far:.4f}, of {len(pairs)} faces")
    assert far < FURTHEST


def distance(its: Mapping[str, float], ours: Mapping[str, float]) -> float:
    return max(abs(its[label] - ours[label]) for label in ours)
