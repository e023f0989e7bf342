"""`picamera2:` against a double of picamera2.

The doubles of picamera2 and libcamera (tests/support/pi) are written after the source of
version 0.3.38. The real ones read libcamera's virtual camera in `make rig`
(tests/rig/rig_picamera2.py); a sensor on a ribbon cable was not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgefer.errors import CameraError, CameraLost, CameraNotFound, SettingsError
from edgefer_device.cameras.camera import Crop, View
from edgefer_device.cameras.capture import CaptureCamera
from edgefer_device.cameras.discovery import find_cameras
from edgefer_device.cameras.opening import open_camera
from edgefer_device.cameras.pi import PiCapture, PiOptions, flips, open_pi, rest_of

DOUBLE = Path(__file__).parents[2] / "support" / "pi"
NAME = r"picamera2:0 \((imx219|webcam)\)"


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The double in picamera2's place, with no sensor yet."""
    monkeypatch.syspath_prepend(str(DOUBLE))
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:WARN")
    import picamera2

    assert picamera2.__file__ is not None
    assert DOUBLE in Path(picamera2.__file__).parents
    yield picamera2
    for name in ("picamera2", "libcamera"):
        sys.modules.pop(name, None)


def still() -> float:
    return 0.0


def watch(uri: str, number: int) -> list[np.ndarray[Any, Any]]:
    camera = open_camera(uri)
    images = [frame.image for frame in islice(camera.frames(), number)]
    camera.close()
    return images


def test_a_sensor_gives_pictures_of_the_size_and_rate_that_are_asked_for(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    images = watch("picamera2:0?size=320x240&rate=20", 3)
    assert [image.shape for image in images] == [(240, 320, 3)] * 3
    assert [int(image[0, 0, 0]) for image in images] == [1, 2, 3]
    assert cable.configuration["main"] == {"size": (320, 240), "format": "RGB888"}
    assert cable.configuration["controls"]["FrameDurationLimits"] == (50_000, 50_000)
    assert not cable.configuration["queue"]
    assert (cable.opened, cable.closed) == (1, 1)


@pytest.mark.parametrize(
    ("lens", "option", "mode"),
    [(True, "", 2), (True, "?autofocus=1", 2), (True, "?autofocus=0", 0), (False, "", None)],
)
def test_a_lens_that_can_focus_does(pi: Any, lens: bool, option: str, mode: int | None) -> None:
    cable = pi.Cable("imx219", lens=lens)
    pi.CABLES.append(cable)
    watch(f"picamera2:{option}", 1)
    assert cable.configuration["controls"].get("AfMode") == mode


def test_exposure_keeps_to_the_mains_and_grows_in_the_dark(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    watch("picamera2:?rate=30&mains=50&slowest=10", 1)
    controls = cable.configuration["controls"]
    assert (controls["AeFlickerMode"], controls["AeFlickerPeriod"]) == (1, 10_000)
    assert controls["FrameDurationLimits"] == (33_333, 100_000)
    watch("picamera2:?mains=60", 1)
    assert cable.configuration["controls"]["AeFlickerPeriod"] == 8_333
    cable.steadied = False
    watch("picamera2:", 1)
    assert "AeFlickerMode" not in cable.configuration["controls"]
    with pytest.raises(CameraError, match="cannot keep to the mains; leave out mains=50"):
        open_camera("picamera2:?mains=50")
    with pytest.raises(SettingsError, match="50 or 60"):
        open_camera("picamera2:?mains=55")


def test_a_lens_that_cannot_focus_is_not_asked_to(pi: Any) -> None:
    cable = pi.Cable("imx219", lens=False)
    pi.CABLES.append(cable)
    with pytest.raises(CameraError, match=rf"^{NAME}: its lens has no motor; leave out"):
        open_camera("picamera2:?autofocus=1")
    assert cable.closed == 1


def test_half_turns_and_mirrors_are_made_by_the_sensor(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    watch("picamera2:?rotate=180", 1)
    transform = cable.configuration["transform"]
    assert (transform.hflip, transform.vflip) == (True, True)
    assert watch("picamera2:?rotate=90&size=320x240", 1)[0].shape == (320, 240, 3)
    transform = cable.configuration["transform"]
    assert (transform.hflip, transform.vflip) == (False, False)


@pytest.mark.parametrize("rotate", ["0", "90", "180", "270"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("crop", [None, Crop(4, 2, 1, 0)])
def test_what_the_sensor_turns_and_what_is_left_make_the_whole(
    rotate: str, mirror: bool, crop: Crop | None
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    view = View(rotate, mirror, crop)
    asked = flips(view)
    sent = image[::-1] if asked[1] else image
    sent = np.ascontiguousarray(sent[:, ::-1] if asked[0] else sent)
    assert np.array_equal(rest_of(view, asked, asked).apply(sent), view.apply(image))


@pytest.mark.parametrize("form", ["BGR888", "MJPEG", "NV12", "YUV420", "YUYV"])
def test_a_camera_that_keeps_to_its_own_format_is_read(pi: Any, form: str) -> None:
    pi.CABLES.append(pi.Cable("webcam", form=form))
    assert watch("picamera2:?size=320x240", 1)[0].shape == (240, 320, 3)


def test_a_camera_whose_format_is_not_read_is_told_and_let_go(pi: Any) -> None:
    cable = pi.Cable("webcam", form="R16")
    pi.CABLES.append(cable)
    with pytest.raises(CameraError, match=rf"^{NAME}: sends R16, which is not read here"):
        open_camera("picamera2:")
    assert cable.closed == 1


def test_a_camera_that_cannot_be_told_its_rate_is_read_at_its_own(pi: Any) -> None:
    cable = pi.Cable("webcam", rated=False)
    pi.CABLES.append(cable)
    watch("picamera2:?rate=5&autofocus=0", 1)
    assert set(cable.configuration["controls"]) == {"AfMode"}


def test_what_a_sensor_cannot_turn_is_turned_here(pi: Any) -> None:
    pi.CABLES.append(pi.Cable("webcam", turns=False))
    camera, rest = open_pi("", PiOptions(), View("180", mirror=True), still)
    camera.close()
    assert rest == View("180", mirror=True)


@pytest.mark.parametrize("view", [View("180"), View(mirror=True), View("180", mirror=True)])
@pytest.mark.parametrize("done", [(False, False), (True, False), (False, True), (True, True)])
def test_what_a_sensor_did_and_what_is_then_left_make_the_whole(
    view: View, done: tuple[bool, bool]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    sent = image[::-1] if done[1] else image
    sent = np.ascontiguousarray(sent[:, ::-1] if done[0] else sent)
    assert np.array_equal(rest_of(view, flips(view), done).apply(sent), view.apply(image))


def test_a_pulled_cable_is_a_lost_camera_and_lets_go_of_the_sensor(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    device = pi.Picamera2(0)
    device.configure({"main": {"size": (64, 48)}})
    capture = PiCapture(device, "RGB888", 64, stall=0.01)
    camera = CaptureCamera("picamera2:0", capture, still, "is it seated?")
    frames = camera.frames()
    next(frames)
    cable.pulled = True
    with pytest.raises(CameraLost, match="picamera2:0: gives no more frames, after 1; is it seat"):
        next(frames)
    camera.close()
    camera.close()
    assert cable.closed == 1


def test_only_pictures_that_are_due_are_copied(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    camera = open_camera("picamera2:")
    asked = count()
    frames = camera.frames(lambda _: next(asked) % 5 == 4)
    seen = [int(next(frames).image[0, 0, 0]) for _ in range(3)]
    assert (seen, cable.copied) == ([5, 10, 15], 3)
    camera.close()
    assert cable.closed == 1


def test_a_damaged_picture_is_followed_by_the_next(pi: Any) -> None:
    cable = pi.Cable("webcam", form="MJPEG", damaged=1)
    pi.CABLES.append(cable)
    camera, _ = open_pi("", PiOptions(), View(), still)
    frames = camera.frames()
    assert int(next(frames).image[0, 0, 0]) == 2
    cable.damaged = 1000
    with pytest.raises(CameraLost, match="gives only damaged frames, after 1; is its ribbon"):
        next(frames)
    camera.close()
    assert (cable.opened, cable.closed) == (1, 1)


def test_letting_go_of_a_sensor_ends_what_picamera2_leaves_open(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    camera, _ = open_pi("", PiOptions(), View(), still)
    assert cable.poller() is not None
    camera.close()
    assert cable.poller() is None


def test_a_sensor_that_is_not_there_is_named(pi: Any) -> None:
    pi.CABLES.append(pi.Cable("imx708"))
    with pytest.raises(CameraNotFound, match=r"picamera2:3: no such sensor; there are: 0 \(imx708"):
        open_camera("picamera2:3")
    with pytest.raises(CameraNotFound, match="picamera2:front: no such sensor"):
        open_camera("picamera2:front")


def test_a_sensor_in_use_or_options_that_it_refuses_are_told(pi: Any) -> None:
    cable = pi.Cable("imx708")
    pi.CABLES.append(cable)
    first, _ = open_pi("0", PiOptions(), View(), still)
    with pytest.raises(CameraError, match="is another program using it"):
        open_camera("picamera2:0")
    first.close()
    cable.refuses = True
    with pytest.raises(CameraError, match="refuses these options: Configuration failed"):
        open_camera("picamera2:0")
    assert (cable.opened, cable.closed) == (2, 2)


def test_an_odd_size_loses_a_row_and_a_column(pi: Any) -> None:
    pi.CABLES.append(pi.Cable("imx708"))
    assert watch("picamera2:?size=321x241", 1)[0].shape == (240, 320, 3)


def test_auto_takes_the_ribbon_before_anything_else(pi: Any) -> None:
    pi.CABLES.extend([pi.Cable("webcam", usb=True), pi.Cable("imx708")])
    assert watch("auto:?size=320x240&rotate=180", 1)[0].shape == (240, 320, 3)
    assert [cable.opened for cable in pi.CABLES] == [0, 1]


def test_sensors_are_listed_and_usb_cameras_are_left_to_v4l2(pi: Any, tmp_path: Path) -> None:
    pi.CABLES.extend([pi.Cable("webcam", usb=True), pi.Cable("imx708")])
    found = find_cameras(tmp_path, tmp_path)
    assert [(one.address, one.name) for one in found if one.hardware] == [("picamera2:1", "imx708")]


def test_without_picamera2_it_is_said_how_to_get_it() -> None:
    with pytest.raises(CameraError, match="sudo apt install python3-picamera2"):
        open_camera("picamera2:")


def test_a_picamera2_for_another_numpy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:WARN")
    with pytest.raises(CameraError, match=r"does not load: numpy.dtype size changed; .* NumPy of"):
        open_camera("picamera2:")
