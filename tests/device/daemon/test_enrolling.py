"""`edgefer enroll` as it is typed, with the camera itself; test_supervisor.py has the daemon's."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.console import FallbackWarning
from edgefer.errors import CameraNotFound, EnrollmentError
from edgefer.portrait import read_portrait, view
from edgefer.preprocess import Pixels
from edgefer_device.daemon.assembly import prepare
from edgefer_device.daemon.configuration import Config
from edgefer_device.pipeline.control_state import Controls

RATE = 2
"""Frames a second of the clips: an enrollment of seconds is a few frames."""


def edgefer(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def configure(folder: Path, camera: str) -> str:
    config = folder / "edgefer.toml"
    config.write_text(f'camera = "{camera}"\nstate = "{folder / "state"}"\n')
    return str(config)


def clip(folder: Path, image: Pixels, seconds: float) -> str:
    """Write a clip of one image, and return a configuration for it."""
    path, size = folder / "clip.mkv", (image.shape[1], image.shape[0])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), RATE, size)
    for _ in range(round(seconds * RATE)):
        writer.write(image)
    writer.release()
    return configure(folder, f"file:{path}")


def test_looks_are_enrolled_shown_and_removed(tmp_path: Path) -> None:
    # The portrait smiles: it is read as neither of these, which a fit can only improve.
    config = clip(tmp_path, view(read_portrait(), 0.0), 30)
    words = ("enroll", "--config", config)
    assert "there is no calibration" in edgefer(*words, "--show").stderr
    done = edgefer(*words, "sad", "angry", "--seconds", "3")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(
        "done. A few numbers were stored, no picture: log loss of frames held back"
    )
    assert "edgefer: 1 of 2: sad, get ready" in done.stderr
    assert json.loads(edgefer(*words, "--show", "--json").stdout)["looks"] == ["sad", "angry"]
    shown = edgefer(*words, "--show").stdout
    assert shown.startswith("small, 20")
    assert len(shown.splitlines()) == 2 + 7
    assert "own calibration: small, 20" in edgefer("config", "show", config).stdout
    assert "removed" in edgefer(*words, "--remove").stderr
    assert "own calibration" not in edgefer("config", "show", config).stdout
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["clip.mkv", "edgefer.toml", "state"]


@pytest.mark.parametrize(
    ("faces", "seconds", "line"),
    [
        (0, 20, "no face in view: come before the camera"),
        (2, 20, "more than one face in view: one person at a time"),
        (1, 4, "the camera ended before every look was held"),
    ],
)
def test_what_cannot_be_enrolled_is_one_line(
    tmp_path: Path, faces: int, seconds: float, line: str
) -> None:
    face = cv2.resize(view(read_portrait(), 0.0), (320, 240))
    beside = [face, face] if faces == 2 else [face, 0 * face] if faces else [0 * face, 0 * face]
    done = edgefer("enroll", "--config", clip(tmp_path, np.hstack(beside), seconds))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(f"edgefer: {line}")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["hapy", "sad"], 1, r"'hapy' is no label of the model: .*; did you mean 'happy'\?$"),
        (["happy"], 1, "name two labels or more"),
        (["happy", "--show"], 2, "give them alone"),
        (["--show", "--remove"], 2, "give them alone"),
        (["--seconds", "0"], 2, "1<=x<=60"),
    ],
)
def test_a_wrong_request_is_one_line(
    tmp_path: Path, words: list[str], status: int, line: str
) -> None:
    done = edgefer("enroll", "--config", configure(tmp_path, "demo:"), *words)
    assert done.exit_code == status
    assert re.search(line, done.stderr, re.MULTILINE)
    if status == 1:
        assert done.stderr.count("\n") == 1


def test_the_demo_is_not_enrolled_in_place_of_a_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise CameraNotFound("no camera (no /dev/video*)")

    monkeypatch.setattr("edgefer_device.cameras.opening.first_camera", none)
    done = edgefer("enroll", "--config", configure(tmp_path, "auto:"))
    assert done.exit_code == 1
    assert done.stderr == "edgefer: no camera (no /dev/video*); connect one\n"


def test_a_daemon_that_shows_the_demo_for_want_of_a_camera_enrolls_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise CameraNotFound("no camera (no /dev/video*)")

    monkeypatch.setattr("edgefer_device.cameras.opening.first_camera", none)
    with pytest.warns(FallbackWarning, match="showing demo: instead"):
        daemon = prepare(Config(state=str(tmp_path), sinks=()), Controls())()
    with contextlib.closing(daemon.camera):
        with pytest.raises(EnrollmentError, match="no camera was found, the demo is shown"):
            daemon.enrollment.begin()
        assert daemon.enrollment.state.look is None
    asked = prepare(Config("demo:", state=str(tmp_path), sinks=()), Controls())()
    with contextlib.closing(asked.camera):
        assert asked.enrollment.begin().look == "neutral"


def test_a_pause_outlives_the_daemon_here_too(tmp_path: Path) -> None:
    config = configure(tmp_path, "demo:")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "paused").touch()
    done = edgefer("enroll", "--config", config)
    assert (done.exit_code, done.stderr) == (
        1,
        "edgefer: the camera is paused; start edgefer run, then edgefer resume\n",
    )
