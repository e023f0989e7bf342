"""`faulty:` on schedule, and cameras that come back by themselves; the clock is a scripted one."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgefer.errors import CameraError, CameraLost, CameraNotFound, SettingsError
from edgefer_device.cameras.camera import Camera, Frame, View
from edgefer_device.cameras.faulty import Faults, FaultyCamera
from edgefer_device.cameras.managed import BACKOFF_SECONDS, ManagedCamera, Opened
from edgefer_device.cameras.opening import camera_address, open_camera
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.system.clock import Clock
from support.scripted import ScriptedCamera


class Leap(threading.Event):
    """Waits are over at once, and the clock has gone on by them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        self.now += timeout or 0.0
        return self.is_set()

    def clock(self) -> float:
        return self.now


def grey_frames(count: int) -> Iterator[Frame]:
    """Frames (4, 6, 3), each one step lighter than the one before."""
    for number in range(count):
        yield Frame(np.full((4, 6, 3), 10 + number, np.uint8), number / 10, number)


def seen(faults: Faults, count: int, leap: Leap | None = None) -> list[Frame]:
    leap = leap or Leap()
    camera = faulty(ScriptedCamera(grey_frames(1000)), faults, leap.clock, leap)
    return list(islice(camera.frames(), count))


def faulty(camera: Camera, faults: Faults, clock: Clock, waiting: threading.Event) -> ManagedCamera:
    hardware = FaultyCamera(lambda: (camera, View()), faults, clock, waiting=waiting)
    return ManagedCamera(hardware.open, clock=clock, release=hardware.release, closed=waiting)


def lit(frame: Frame) -> float:
    return float(frame.image.mean())


def test_black_and_bright_frames_come_after_so_many_good_ones_and_again() -> None:
    frames = seen(Faults(every=3, black=2, bright=1), 12)
    good = {number: 10.0 + number for number in (0, 1, 2, 5, 6, 7, 9, 10, 11)}
    assert {number: lit(frames[number]) for number in good} == good
    assert [lit(frames[number]) for number in (3, 4)] == [0, 0]
    assert lit(frames[8]) == 3 * 18 + 120


def test_a_torn_frame_is_half_of_the_one_before() -> None:
    frames = seen(Faults(every=3, torn=1), 4)
    assert (frames[3].image[:2] == 13).all()
    assert (frames[3].image[2:] == 12).all()


def test_a_stall_lasts_as_long_as_it_should() -> None:
    leap = Leap()
    seen(Faults(every=5, stall=60.0), 6, leap)
    assert leap.waits == [60.0]


def test_an_unplugged_camera_is_gone_for_so_long_and_comes_back() -> None:
    leap = Leap()
    frames = seen(Faults(every=5, gone=7.0), 30, leap)
    assert [frame.number for frame in frames] == list(range(30))
    assert leap.now >= 7.0
    assert [lit(frame) for frame in frames] == [10 + number for number in range(30)]


def test_without_a_word_all_faults_strike() -> None:
    assert Faults().chosen == [
        ("stall", 2.0),
        ("torn", 10.0),
        ("gone", 2.0),
        ("black", 10.0),
        ("bright", 10.0),
    ]


def test_a_faulty_clip_ends_as_the_clip_does(data: Path) -> None:
    address = f"faulty:file:{data / 'clips/hungry.mkv'}?every=10&black=2&torn=2"
    camera = open_camera(address)
    frames = list(camera.frames())
    camera.close()
    assert len(frames) == 49
    assert sum(not frame.image.any() for frame in frames) in (2, 4)


def test_a_faulty_camera_is_checked_as_the_one_inside() -> None:
    with pytest.raises(SettingsError, match="takes no path"):
        camera_address("faulty:demo:x?stall=1s")
    with pytest.raises(SettingsError, match="unknown option 'stall'; known: pace, rotate, mirror"):
        camera_address("demo:?stall=1s")


class Noted(threading.Event):
    """An event that tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.awaited.set()
        return super().wait(timeout)


def test_closing_ends_a_stall_and_what_lies_beneath() -> None:
    beneath, waiting = ScriptedCamera(grey_frames(1000), live=True), Noted()
    camera = faulty(beneath, Faults(every=2, stall=3600.0), lambda: 0.0, waiting)
    watching = threading.Thread(target=lambda: list(camera.frames()))
    watching.start()
    assert waiting.awaited.wait(20)
    camera.close()
    watching.join(20)
    assert not watching.is_alive()
    assert beneath.closed


class Plug:
    """Hardware that is lost and found by a script: each number is how many frames one opening
    gives before it is lost, None is an opening that fails; the last one stays."""

    def __init__(self, *script: int | None) -> None:
        self.script = list(script)
        self.cameras: list[ScriptedCamera] = []

    def open(self) -> Opened:
        length = self.script.pop(0)
        if length is None:
            raise CameraNotFound("still unplugged")
        end = CameraLost("unplugged") if self.script else None
        camera = ScriptedCamera(grey_frames(length), live=True, end=end)
        self.cameras.append(camera)
        return camera, View()


def managed(plug: Plug, leap: Leap) -> ManagedCamera:
    return ManagedCamera(plug.open, clock=leap.clock, closed=leap)


def test_a_lost_camera_is_opened_until_it_is_back_and_frames_go_on() -> None:
    plug, leap = Plug(3, None, None, None, 2), Leap()
    frames = list(managed(plug, leap).frames())
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert plug.cameras[0].closed


def test_a_camera_that_no_file_is_left_for_is_opened_later() -> None:
    plug, leap = Plug(3, None, 2), Leap()

    def open_short_of_files() -> Opened:
        try:
            return plug.open()
        except CameraNotFound:
            raise OSError(errno.EMFILE, "Too many open files") from None

    frames = list(ManagedCamera(open_short_of_files, clock=leap.clock, closed=leap).frames())
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]


def test_what_is_due_is_asked_on_one_clock_over_a_loss() -> None:
    plug, leap, asked = Plug(5, None, 5), Leap(), []

    def second(time: float) -> bool:
        asked.append(time)
        return len(asked) % 2 == 0

    frames = list(managed(plug, leap).frames(second))
    assert [frame.number for frame in frames] == [1, 3, 5, 7, 9]
    assert [frame.time for frame in frames] == asked[1::2]
    assert asked == sorted(asked)


def test_the_wait_doubles_up_to_a_limit_within_which_a_camera_is_back() -> None:
    plug, leap = Plug(3, *[None] * 8, 2), Leap()
    list(managed(plug, leap).frames())
    assert leap.waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    assert BACKOFF_SECONDS[1] <= 5.0


def test_a_loss_and_a_return_are_said_once_each(caplog: pytest.LogCaptureFixture) -> None:
    plug, leap = Plug(3, *[None] * 8, 2), Leap()
    with caplog.at_level(logging.INFO):
        list(managed(plug, leap).frames())
    said = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert said == ["unplugged; trying to reopen it", "the camera is back, after 23.8 s"]


def test_one_that_opens_but_gives_nothing_is_not_called_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plug, leap = Plug(3, 0, 0, 0, 2), Leap()
    with caplog.at_level(logging.INFO):
        list(managed(plug, leap).frames())
    assert [record.message for record in caplog.records] == [
        "unplugged; trying to reopen it",
        "the camera is back, after 3.8 s",
    ]
    assert all(camera.closed for camera in plug.cameras[:-1])


def test_the_wait_is_short_again_after_the_camera_had_lasted() -> None:
    plug, leap = Plug(1, None, None, 1, 1), Leap()
    frames = managed(plug, leap).frames()
    next(frames)
    next(frames)
    leap.now += 60.0
    next(frames)
    assert leap.waits == [0.25, 0.5, 1.0, 0.25]


def test_closing_while_it_is_lost_ends_the_frames() -> None:
    leap, plug = Leap(), Plug(2, 0)

    def gone() -> Opened:
        if len(plug.script) == 2:
            return plug.open()
        camera.close()
        raise CameraError("still not there")

    camera = ManagedCamera(gone, clock=leap.clock, closed=leap)
    assert len(list(camera.frames())) == 2


def test_closing_while_it_is_opened_closes_what_comes() -> None:
    leap, plug, late = Leap(), Plug(2, 0), ScriptedCamera(grey_frames(10))

    def slow() -> Opened:
        if len(plug.script) == 2:
            return plug.open()
        camera.close()
        return late, View()

    camera = ManagedCamera(slow, clock=leap.clock, closed=leap)
    assert len(list(camera.frames())) == 2
    assert late.closed


def test_what_cannot_come_back_is_lost_for_good() -> None:
    camera = ManagedCamera(Plug(3, 1).open, reopens=False)
    frames = camera.frames()
    assert len(list(islice(frames, 3))) == 3
    with pytest.raises(CameraLost, match="unplugged"):
        next(frames)


def test_pausing_lets_go_of_what_outlives_a_loss() -> None:
    beneath, controls, leap = ScriptedCamera(grey_frames(9), live=True), Controls(), Leap()
    hardware = FaultyCamera(lambda: (beneath, View()), Faults(), leap.clock)
    camera = ManagedCamera(hardware.open, pause=controls, release=hardware.release)
    before = threading.active_count()
    controls.pause()
    while threading.active_count() > before:
        pass
    assert beneath.closed
    camera.close()


def test_a_camera_that_ends_by_itself_is_not_opened_again() -> None:
    plug, leap = Plug(3), Leap()
    assert len(list(managed(plug, leap).frames())) == 3
    assert leap.waits == []
