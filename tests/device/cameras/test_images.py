"""`images:`, a folder of pictures or one."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.errors import CameraError, CameraNotFound
from edgefer_device.cameras.camera import Frame
from edgefer_device.cameras.opening import open_camera
from edgefer_device.cameras.recorded import ImagesOptions, open_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, grey 10, 20 and 30 by their names, and files that are none."""
    for grey, name in ((30, "c.JPG"), (10, "a.png"), (20, "b.webp")):
        cv2.imwrite(str(tmp_path / name), np.full((12, 16, 3), grey, np.uint8))
    (tmp_path / "labels.txt").write_text("a: happy\n")
    (tmp_path / "._a.jpg").write_bytes(b"what macOS keeps beside a file")
    return tmp_path


def watch(uri: str, count: int = 100) -> list[Frame]:
    camera = open_camera(uri)
    try:
        return list(islice(camera.frames(), count))
    finally:
        camera.close()


def greys(frames: list[Frame]) -> list[int]:
    return [round(float(frame.image.mean()), -1) for frame in frames]  # type: ignore[misc]


def test_a_folder_is_shown_in_the_order_of_its_names(folder: Path) -> None:
    frames = watch(f"images:{folder}?rate=4")
    assert greys(frames) == [10, 20, 30]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == [0.0, 0.25, 0.5]


def test_a_looped_folder_begins_again_and_its_time_goes_on(folder: Path) -> None:
    frames = watch(f"images:{folder}?loop=1&rate=10", 7)
    assert greys(frames) == [10, 20, 30, 10, 20, 30, 10]
    assert [frame.time for frame in frames] == pytest.approx([number / 10 for number in range(7)])


def test_one_picture_can_stand_for_ever(folder: Path) -> None:
    assert greys(watch(f"images:{folder / 'b.webp'}?loop=1", 50)) == [20] * 50
    assert greys(watch(f"images:{folder / 'b.webp'}")) == [20]


class Leap(threading.Event):
    """Waits are over at once, and the clock has gone on by them."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.waits = 100.0, [0.0]

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        self.now += max(0.0, timeout or 0.0)
        return self.is_set()


def test_at_the_real_pace_each_picture_comes_when_its_time_has_come(folder: Path) -> None:
    leap = Leap()
    options = ImagesOptions(rate=2, pace="real", loop=True)
    camera = open_images(folder, options, lambda: leap.now, leap)
    assert camera.live
    assert [frame.time for frame in islice(camera.frames(), 5)] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert leap.now == pytest.approx(102.0)


def test_a_closed_folder_gives_no_more(folder: Path) -> None:
    camera = open_camera(f"images:{folder}?loop=1")
    frames = camera.frames()
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []


def test_what_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(CameraNotFound, match="absent: no such folder or image"):
        open_camera(f"images:{tmp_path / 'absent'}")
    with pytest.raises(CameraNotFound, match="no image in this folder; expected files such as"):
        open_camera(f"images:{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_file_that_is_no_picture_is_named_and_skipped(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "aa.jpg").write_bytes(content)
    frames = watch(f"images:{folder}?loop=1&rate=10", 6)
    assert greys(frames) == [10, 20, 30, 10, 20, 30]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.2, 0.3, 0.4, 0.6, 0.7])
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        str(folder / "aa.jpg")
    ]


def test_a_folder_without_a_readable_picture_ends(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"not a picture")
    with pytest.raises(CameraError, match="no file that is an image"):
        watch(f"images:{tmp_path}?loop=1")
