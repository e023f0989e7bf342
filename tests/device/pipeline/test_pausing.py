"""A pause closes the camera, outlives the daemon, and leaves count and time whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgefer.errors import CameraLost, CameraNotFound
from edgefer_device.cameras.camera import Camera, Due, Frame, View, always
from edgefer_device.cameras.managed import ManagedCamera, Opened
from edgefer_device.cameras.opening import pause_persists
from edgefer_device.pipeline.control_state import Controls, PauseMemory
from edgefer_device.system.backoff import Backoff
from support.scripted import ScriptedCamera, blank_frames

PATIENCE = 10.0


class Hardware:
    """A live camera that can be held once, and remembers who held it."""

    def __init__(self) -> None:
        self.opened = 0
        self.held: Held | None = None
        self.missing = 0
        """How often it is not to be found."""

    def open(self) -> Opened:
        if self.missing:
            self.missing -= 1
            raise CameraNotFound("no such camera")
        assert self.held is None, "a camera is opened by one alone"
        self.opened += 1
        self.held = Held(self)
        return self.held, View()


class Held:
    """One opening: a frame each millisecond, until it is closed."""

    live = True

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._closed = threading.Event()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        for frame in blank_frames(1_000_000, rate=1000):
            if self._closed.wait(0.001):
                return
            if due(frame.time):
                yield frame

    def close(self) -> None:
        self._closed.set()
        self._hardware.held = None


class Viewer:
    """Takes the frames in a thread, as the pipeline does."""

    def __init__(self, camera: Camera) -> None:
        self.frames: list[Frame] = []
        self._camera = camera
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._camera.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _watch(self) -> None:
        for frame in self._camera.frames():
            self.frames.append(frame)


def wait(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)  # real time: the camera has a thread of its own


def test_a_pause_lets_go_of_the_camera_and_its_end_takes_it_again() -> None:
    hardware, controls = Hardware(), Controls()
    camera = ManagedCamera(hardware.open, pause=controls)
    with Viewer(camera) as viewer:
        wait(lambda: len(viewer.frames) > 5)
        controls.pause()
        wait(lambda: hardware.held is None)
        assert not camera.open
        seen = len(viewer.frames)
        controls.resume()
        wait(lambda: len(viewer.frames) > seen + 5)
        assert hardware.opened == 2
    assert hardware.held is None
    numbers = [frame.number for frame in viewer.frames]
    assert numbers == sorted({*numbers})
    times = [frame.time for frame in viewer.frames]
    assert times == sorted(times)


def test_after_a_pause_it_is_asked_of_the_same_clock_what_is_due() -> None:
    hardware, controls = Hardware(), Controls()
    camera = ManagedCamera(hardware.open, pause=controls)
    asked: list[float] = []
    for frame in camera.frames(lambda time: len(asked.append(time) or asked) % 10 == 0):  # type: ignore[func-returns-value]
        assert frame.time == asked[-1]
        if len(asked) == 20:
            controls.pause()
            wait(lambda: hardware.held is None)
            controls.resume()
        elif len(asked) >= 40:
            break
    camera.close()
    assert hardware.opened == 2
    assert asked == sorted(asked)


def test_a_camera_that_starts_paused_is_not_touched() -> None:
    hardware, controls = Hardware(), Controls()
    controls.pause()
    camera = ManagedCamera(hardware.open, pause=controls)
    assert (hardware.opened, camera.live) == (0, True)
    with Viewer(camera) as viewer:
        controls.resume()
        wait(lambda: len(viewer.frames) > 2)


def test_pausing_and_resuming_over_and_over_leaves_one_camera_and_no_thread() -> None:
    hardware, controls = Hardware(), Controls()
    before = threading.active_count()
    with Viewer(ManagedCamera(hardware.open, pause=controls)) as viewer:
        for _ in range(30):
            controls.pause()
            controls.resume()
        seen = len(viewer.frames)
        wait(lambda: len(viewer.frames) > seen + 3)
    wait(lambda: threading.active_count() == before)
    assert hardware.held is None


def test_a_camera_that_is_gone_after_the_pause_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hardware, controls = Hardware(), Controls()
    soon = Backoff(0.01, 0.01)
    with Viewer(ManagedCamera(hardware.open, pause=controls, backoff=soon)) as viewer:
        wait(lambda: len(viewer.frames) > 2)
        controls.pause()
        wait(lambda: hardware.held is None)
        hardware.missing = 3
        controls.resume()
        seen = len(viewer.frames)
        wait(lambda: len(viewer.frames) > seen + 2)
    assert "no such camera; trying to reopen it" in caplog.text


def test_closing_ends_a_pause() -> None:
    hardware, controls = Hardware(), Controls()
    controls.pause()
    camera = ManagedCamera(hardware.open, pause=controls)
    with Viewer(camera) as viewer:
        pass
    assert (viewer.frames, hardware.opened) == ([], 0)


def test_a_clip_waits_where_it_is() -> None:
    controls = Controls()
    with Viewer(of_clip(controls)) as viewer:
        wait(lambda: len(viewer.frames) == 50)
    controls.pause()
    camera = of_clip(controls)
    with Viewer(camera) as viewer:
        assert (camera.open, viewer.frames) == (True, [])
        controls.resume()
        wait(lambda: len(viewer.frames) == 50)


def of_clip(controls: Controls) -> ManagedCamera:
    clip = ScriptedCamera(blank_frames(50))
    return ManagedCamera(lambda: (clip, View()), reopens=False, pause=controls)


def test_a_pause_is_remembered_and_forgotten(tmp_path: Path) -> None:
    controls, folder = Controls(), tmp_path / "state"
    controls.listen(PauseMemory(folder).keep)
    assert not PauseMemory(folder).paused
    controls.pause()
    assert PauseMemory(folder).paused
    assert (folder / "paused").stat().st_mode & 0o777 == 0o600
    controls.resume()
    assert not PauseMemory(folder).paused


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file")
    controls = Controls()
    controls.listen(PauseMemory(tmp_path / "state").keep)
    controls.pause()
    assert controls.paused
    assert "the pause will not outlive a restart" in caplog.text


class Impatient(threading.Event):
    """Waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def test_tries_to_reopen_a_lost_camera_are_work_that_the_watchdog_sees() -> None:
    lost = ScriptedCamera(blank_frames(1), live=True, end=CameraLost("unplugged"))
    script: list[Opened | CameraNotFound] = [
        (lost, View()),
        CameraNotFound("no such camera"),
        CameraNotFound("no such camera"),
        (ScriptedCamera(blank_frames(1), live=True), View(mirror=True)),
    ]

    def open_next() -> Opened:
        step = script.pop(0)
        if isinstance(step, CameraNotFound):
            raise step
        return step

    camera = ManagedCamera(open_next, closed=Impatient())
    assert camera.tries == 0
    assert len(list(camera.frames())) == 2
    assert camera.tries == 3
    camera.close()


def test_a_pause_of_a_clip_does_not_outlive_the_daemon() -> None:
    assert pause_persists("demo:")
    assert not pause_persists("file:clip.mkv?loop=1")
