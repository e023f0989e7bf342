"""The shipped models keep their promises, on PrivateTest and on clips of real people."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from edgefer.bundle import shipped


def edgefer(*words: object) -> str:
    """Run the command as a user does; return what it prints."""
    command = [sys.executable, "-m", "edgefer.cli", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


PROMISED = {
    "small": (1_000_000, 60e6, {"fer2013": 0.68, "ferplus": 0.825, "both": 0.66}),
    "tiny": (102_400, 10.2e6, {"fer2013": 0.68, "ferplus": 0.85, "both": 0.655}),
}
"""At most so many bytes as int8 and multiply-accumulates, at least this accuracy by label set."""


LOSSES = {"gaussian_noise": 0.02, "defocus_blur": 0.03, "low_resolution": 0.03, "jpeg": 0.02}
"""Accuracy that noise of sigma 10, blur of sigma 1, 24x24 pixels and JPEG quality 30 may cost."""


def inspected(name: str = "small") -> Any:
    return json.loads(edgefer("model", "inspect", name, "--json"))


def int8_scores(manifest: Any) -> dict[str, Any]:
    """Those of a manifest, by label set."""
    heads = {head["label_set"]: head for head in manifest["heads"]}
    heads["both"] = manifest["ensemble"]
    return {name: head["calibration"]["scores"]["int8"] for name, head in heads.items()}


def moods(clip: Path, detector: str) -> list[str | None]:
    """The moods that the daemon reports on a clip, repetitions left out."""
    lines = edgefer("run", "--camera", f"file:{clip}", "--detector", detector, "--sink", "jsonl:-")
    return [mood for mood, _ in groupby(json.loads(line)["mood"] for line in lines.splitlines())]


def test_the_shipped_model_is_inspected_as_table_and_as_json() -> None:
    assert "PrivateTest" in edgefer("model", "inspect", "small")
    manifest = inspected()
    assert int8_scores(manifest)["fer2013"]["n"] == 3589


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_model_is_as_small_and_as_good_as_promised(name: str) -> None:
    manifest, (size, macs, accuracies) = inspected(name), PROMISED[name]
    assert manifest["files"]["int8"]["bytes"] <= size
    assert manifest["evidence"]["macs"] <= macs
    for label_set, accuracy in accuracies.items():
        assert int8_scores(manifest)[label_set]["accuracy"] >= accuracy
    for check in manifest["gate"]["checks"]:
        measured, limit = check["measured"], check["limit"]
        assert measured >= limit if check["at_least"] else measured <= limit, check["name"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [("small", "fer2013"), ("small", "both"), ("tiny", "fer2013"), ("tiny", "ferplus")],
)
def test_a_shipped_model_measures_what_its_manifest_has(data: Path, name: str, labels: str) -> None:
    measured = json.loads(edgefer("evaluate", name, "--data", data, "--labels", labels, "--json"))
    scores = int8_scores(inspected(name))[labels]
    # Runtimes and builds differ by a step or two, so a few images may change their label.
    assert measured["accuracy"] == pytest.approx(scores["accuracy"], abs=0.003)
    assert measured["n_leak_free"] == scores["n_leak_free"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gaussian_noise", "defocus_blur", "low_resolution", "jpeg"])
def test_what_a_camera_does_to_a_face_costs_the_shipped_model_little(data: Path, kind: str) -> None:
    words = ("evaluate", "small", "--data", data, "--corruptions", "--kind", kind, "--json")
    found = json.loads(edgefer(*words, "--part", "PublicTest"))
    third = found["corrupted"][kind][2]
    assert found["clean"]["accuracy"] - third["accuracy"] <= LOSSES[kind]


@pytest.mark.parametrize("detector", ["blazeface", "haar"])
def test_a_face_that_begins_to_smile_goes_once_from_neutral_to_happy(
    data: Path, detector: str
) -> None:
    clip = data / "clips" / "single_face.mp4"
    assert moods(clip, detector) == [None, "neutral", "happy"]


@pytest.mark.parametrize("detector", ["blazeface", "haar"])
def test_without_a_face_there_is_never_a_mood(data: Path, detector: str) -> None:
    assert moods(data / "clips" / "no_face.mp4", detector) == [None]


@pytest.mark.parametrize("detector", ["blazeface", "haar"])
def test_when_the_face_leaves_the_mood_goes(data: Path, detector: str) -> None:
    clip = data / "clips" / "face_noface.mov"
    assert moods(clip, detector) == [None, "neutral", "happy", None]
