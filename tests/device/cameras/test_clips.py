"""Clips as they come: odd names, containers that cannot seek, frame rates that vary, no time."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer_device.cameras.opening import camera_address, open_camera
from edgefer_device.cameras.recorded import Clip, ClipOptions

FRAMES, RATE = 30, 10
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a clip of 30 frames that get brighter, 10 a second, under a name."""

    def write(name: str) -> Path:
        suffix = Path(name).suffix
        codec = {".mjpeg": "MJPG", ".ts": "mp4v", ".webm": "VP80"}.get(suffix, "mp4v")
        path = tmp_path / f"clip{suffix}"
        code = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, RATE, (64, 48))
        assert writer.isOpened()
        for value in range(FRAMES):
            writer.write(np.full((48, 64, 3), 5 * value, np.uint8))
        writer.release()
        return path.rename(tmp_path / name)

    return write


@pytest.mark.parametrize(
    "name",
    ["12:30.mp4", "2026-01-31T12:30.mp4", "what?.mp4", "a=b&c?.mp4", os.fsdecode(b"\xff.mp4")],
)
def test_a_clip_may_have_any_name(write: Write, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(name).parent)
    assert len(list(open_camera(f"file:{name}").frames())) == FRAMES
    assert len(list(open_camera(f"file:{name}?pace=fast").frames())) == FRAMES


def test_a_clip_may_lie_in_the_home(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(write("clip.mp4").parent))
    assert len(list(open_camera("file:~/clip.mp4").frames())) == FRAMES


def test_an_option_without_a_value_is_no_name() -> None:
    assert camera_address("file:clip.mp4?pace=fast").place == "clip.mp4"
    assert camera_address("file:what?.mp4?pace=fast").place == "what?.mp4"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".webm", ".mjpeg"])
def test_every_container_begins_again(write: Write, suffix: str) -> None:
    camera = open_camera(f"file:{write(f'clip{suffix}')}?loop=1")
    frames = list(islice(camera.frames(), 100))
    camera.close()
    assert len(frames) == 100
    assert np.diff([frame.time for frame in frames]).min() > 0.03
    assert [int(frame.image.mean()) // 5 for frame in frames[:30:29]] == [
        int(frame.image.mean()) // 5 for frame in frames[60:90:29]
    ]


class Scripted:
    """A capture of black frames at some times, which promises a number of frames."""

    def __init__(self, times: list[float], rate: float, promised: float) -> None:
        self._times, self._at = iter(times), 0.0
        self._known = {cv2.CAP_PROP_FPS: rate, cv2.CAP_PROP_FRAME_COUNT: promised}

    def read(self) -> tuple[bool, object]:
        at = next(self._times, None)
        self._at = self._at if at is None else at
        return at is not None, np.zeros((4, 4, 3), np.uint8)

    def get(self, what: int) -> float:
        return self._known.get(what, 1000 * self._at)

    def release(self) -> None:
        """Nothing to release."""


@pytest.mark.parametrize(
    ("times", "rate", "promised"),
    [
        # A variable rate: 1 frame a second after a burst, as many frames promised as at 30.
        ([0.0, 0.1, 0.2, 1, 2, 3, 4], 30, 150),
        # More frames promised than there are, but the time is full: by an average rate.
        ([0.0, 1, 2, 3, 4], 2.4, 12),
        # A live recording's header and a raw stream's promise nonsense.
        ([0.0, 0.1, 0.2], 30, -2.8e17),
        ([0.0, 0.1, 0.2], 25, -9.2e18),
        ([0.0, 0.1, 0.2], 90000, 0),
    ],
)
def test_a_clip_ends_with_its_last_frame(times: list[float], rate: float, promised: float) -> None:
    capture = Scripted(times, rate, promised)
    clip = Clip(Path("clip"), capture, ClipOptions(), lambda: 0.0)  # type: ignore[arg-type]  # a double
    assert [frame.time for frame in clip.frames()] == times


@pytest.mark.parametrize(
    ("rate", "step"), [(10, 0.1), (0, 0.04), (float("nan"), 0.04), (1e6, 0.04)]
)
def test_without_a_time_of_its_own_the_frame_rate_is_it(rate: float, step: float) -> None:
    capture = Scripted([0.0] * 5, rate, -1.9e14)
    clip = Clip(Path("clip.h264"), capture, ClipOptions(), lambda: 0.0)  # type: ignore[arg-type]  # a double
    assert [frame.time for frame in clip.frames()] == pytest.approx([step * n for n in range(5)])
