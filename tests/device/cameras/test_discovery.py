"""`edgefer cameras` where there are none, and how they are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefer.cli import main
from edgefer_device.cameras.discovery import Found, find_cameras, show
from edgefer_device.cameras.v4l2 import Mode


def test_where_there_is_no_camera_one_line_says_what_to_do() -> None:
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    done = CliRunner().invoke(main, ["cameras", "--json"])
    assert done.exit_code == 0
    (demo,) = map(json.loads, done.stdout.splitlines())
    assert (demo["address"], demo["hardware"], demo["problem"]) == ("demo:", False, None)
    assert done.stderr.startswith("edgefer: warning: no camera found: plug in a USB camera")
    assert done.stderr.count("\n") == 1


def test_the_demo_without_its_portrait_is_listed_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (demo,) = find_cameras(tmp_path, tmp_path)
    assert "pip install --no-deps scikit-image" in str(demo.problem)


def test_a_table_shows_the_sizes_of_each_format(capsys: pytest.CaptureFixture[str]) -> None:
    modes = (
        Mode("YUYV", 640, 480, (30.0, 15.0)),
        Mode("MJPG", 640, 480, (30.0,)),
        Mode("MJPG", 1280, 720, ()),
    )
    lasting = "v4l2:/dev/v4l/by-id/usb-x"
    show([Found("v4l2:/dev/video0", "Some Webcam", True, "is closed", lasting, modes)])
    shown = capsys.readouterr().out
    for text in ("v4l2:/dev/video0", "Some Webcam", "is closed", "YUYV  640x480 30"):
        assert text in shown
    assert "MJPG  640x480 30, 1280x720" in shown
