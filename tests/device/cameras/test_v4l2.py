"""`v4l2:`, with OpenCV's own capture and our own questions to the kernel.

Machines for tests have no camera, and many kernels no V4L2: a library that is loaded before
the C library's answers in the kernel's place (tests/support/v4l2_kernel.c), in a process of
its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec
import pytest

from edgefer.errors import CameraError, CameraNotFound
from edgefer.messages import Report
from edgefer_device.cameras import v4l2
from edgefer_device.cameras.camera import Size
from edgefer_device.cameras.opening import open_camera
from edgefer_device.cameras.v4l2 import Mode, V4l2Options, nodes, query, ranked
from support.webcam import USUAL, Webcam, build_kernel

SCRIPTED = Path(__file__).parents[2] / "support" / "scripted_run.py"

WATCH = """
import sys
from itertools import islice
from edgefer.errors import EdgeferError
from edgefer.messages import Report
from edgefer_device.cameras.opening import open_camera
try:
    camera = open_camera(f"v4l2:{sys.argv[1]}{sys.argv[2]}")
except EdgeferError as exc:
    print(f"{type(exc).__name__}: {exc}")
else:
    frames = list(islice(camera.frames(), 3))
    camera.close()
    print([frame.number for frame in frames], frames[0].image.shape)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.fixture
def webcam(library: Path, tmp_path: Path) -> Webcam:
    return Webcam(library, tmp_path)


@pytest.fixture
def photo(data: Path, tmp_path: Path) -> Path:
    """The first picture of a clip, as a webcam would compress it."""
    capture = cv2.VideoCapture(str(data / "clips/help.mkv"))
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), capture.read()[1])
    capture.release()
    return path


def test_the_cheapest_format_that_reaches_the_rate_is_taken(webcam: Webcam) -> None:
    webcam.plug(*USUAL)
    assert webcam.ask(WATCH, "") == "[0, 1, 2] (480, 640, 3)\n"
    assert webcam.streamed == ["YUYV 640x480 30"]


def test_jpeg_is_taken_where_the_others_are_too_slow(webcam: Webcam, photo: Path) -> None:
    webcam.plug(*USUAL)
    webcam.show(photo)
    webcam.ask(WATCH, "?size=1280x720&rate=25")
    assert webcam.streamed == ["MJPG 1280x720 25"]


def test_a_format_that_the_bus_has_no_room_for_is_given_up_for_the_next(
    webcam: Webcam, photo: Path
) -> None:
    webcam.plug(*USUAL, "narrow YUYV")
    webcam.show(photo)
    assert webcam.ask(WATCH, "") == "[0, 1, 2] (480, 640, 3)\n"
    assert webcam.streamed == ["MJPG 640x480 30"]


@pytest.mark.parametrize(
    ("lines", "options", "told"),
    [
        ((*USUAL, "busy"), "", "CameraError: {path}: gives no frame; is another program using"),
        (USUAL, "?format=nv12", "CameraError: {path}: has no format of NV12; it has: YUYV, MJPG"),
        (("mode RG10 640 480 30",), "", "CameraError: {path}: has no format of YUYV, .* has: RG10"),
        (("kind metadata",), "", r"CameraError: {path}: gives no frames \(Some Webcam\); see: "),
        (("kind m2m", *USUAL), "", "CameraError: {path}: gives no frames"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    webcam: Webcam, lines: tuple[str, ...], options: str, told: str
) -> None:
    webcam.plug(*lines)
    with pytest.raises(AssertionError, match=told.format(path=webcam.path)):
        raise AssertionError(webcam.ask(WATCH, options))


def test_a_stage_of_a_raspberry_pis_own_camera_is_refused_for_picamera2(webcam: Webcam) -> None:
    webcam.plug(*USUAL, driver="bcm2835-isp")
    assert "own camera; use picamera2:" in webcam.ask(WATCH, "")


DISCOVER = """
import sys
from pathlib import Path
from edgefer.messages import to_json
from edgefer_device.cameras.discovery import find_cameras
folder = Path(sys.argv[1]).parent
for found in find_cameras(folder, folder):
    print(to_json(found))
"""


def test_cameras_are_found_with_their_names_and_formats(webcam: Webcam, library: Path) -> None:
    webcam.plug(*USUAL)
    folder = webcam.path.parent
    Webcam(library, folder, 1).plug("kind metadata")
    Webcam(library, folder, 2).plug("mode RG10 3280 2464 20", card="raw sensor")
    Webcam(library, folder, 10).plug(*USUAL, card="isp", driver="bcm2835-isp")
    by_id = folder / "v4l" / "by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-Some_Webcam_1234-video-index0").symlink_to(webcam.path)
    found = [json.loads(line) for line in webcam.ask(DISCOVER).splitlines()]
    assert [one["address"] for one in found] == [
        f"v4l2:{webcam.path}",
        f"v4l2:{folder / 'video2'}",
        "demo:",
    ]
    first, raw, _ = found
    assert (first["name"], first["hardware"], first["problem"]) == ("Some Webcam", True, None)
    assert first["lasting"] == f"v4l2:{by_id / 'usb-Some_Webcam_1234-video-index0'}"
    yuyv = {"format": "YUYV", "width": 640, "height": 480, "rates": [30.0, 15.0]}
    assert first["modes"][0] == yuyv
    assert len(first["modes"]) == len(USUAL)
    assert "gives RG10 only, which OpenCV cannot read" in raw["problem"]


def test_a_file_that_is_no_device_is_none(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert query(tmp_path / "video0") is None


def test_nodes_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        (tmp_path / f"video{number}").touch()
    assert [path.name for path in nodes(tmp_path)] == ["video0", "video2", "video10"]


def test_the_questions_have_the_sizes_that_the_kernel_expects() -> None:
    """Each number holds the size of its structure in 14 bits (linux/ioctl.h)."""
    for number, form in (
        v4l2.CAPABILITY,
        v4l2.FORMAT,
        v4l2.FRAME_SIZE,
        v4l2.FRAME_INTERVAL,
    ):
        assert number >> 16 & 0x3FFF == form.size


MODES = [
    Mode("MJPG", 640, 480, (30.0,)),
    Mode("YUYV", 640, 480, (30.0, 15.0)),
    Mode("YUYV", 1280, 720, (10.0,)),
    Mode("MJPG", 1280, 720, (27.5,)),
    Mode("RG10", 3280, 2464, (20.0,)),
]


@pytest.mark.parametrize(
    ("size", "rate", "expected"),
    [
        ((640, 480), 30, "YUYV 640x480"),
        ((320, 240), 30, "YUYV 640x480"),
        ((800, 600), 30, "MJPG 1280x720"),
        ((1280, 720), 10, "YUYV 1280x720"),
        ((3840, 2160), 30, "MJPG 1280x720"),
        ((640, 480), 120, "YUYV 640x480"),
    ],
)
def test_the_next_larger_size_then_the_rate_then_the_cost_decide(
    size: tuple[int, int], rate: float, expected: str
) -> None:
    best = ranked(MODES, V4l2Options(Size(*size), rate), "camera")[0]
    assert f"{best.format} {best.size}" == expected


def test_a_camera_that_is_not_there_is_not_found() -> None:
    with pytest.raises(CameraNotFound, match="/dev/video99: no such camera; see: edgefer cameras"):
        open_camera("v4l2:/dev/video99")


def test_a_device_that_is_no_camera_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CameraError, match="/dev/null: cannot be opened as a camera"):
        open_camera("v4l2:/dev/null")
    assert capfd.readouterr().err == ""


class Daemon:
    """The daemon at a webcam, a scripted model in it, and what it says."""

    def __init__(self, webcam: Webcam) -> None:
        words = [sys.executable, "-W", "error", str(SCRIPTED), f"v4l2:{webcam.path}"]
        pipe = subprocess.PIPE
        words += ["blazeface", "jsonl:-"]
        self._process = subprocess.Popen(
            words, env=webcam.environment, stdout=pipe, stderr=pipe, text=True
        )

    def until(self, enough: Callable[[Report], bool]) -> Iterator[Report]:
        """Yield reports up to one that is enough, that one too."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = msgspec.json.decode(line, type=Report)
            yield report
            if enough(report):
                return
        raise AssertionError(self._process.communicate()[1])

    def end(self) -> tuple[int, str]:
        self._process.terminate()
        _, errors = self._process.communicate(timeout=30)
        return self._process.returncode, errors

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def daemon(webcam: Webcam, photo: Path) -> Iterator[Daemon]:
    webcam.plug("mode MJPG 640 480 30")
    webcam.show(photo)
    one = Daemon(webcam)
    # A daemon that says nothing more must not hold up all other tests.
    guard = threading.Timer(90, one.kill)
    guard.start()
    yield one
    guard.cancel()
    one.kill()


def happy(report: Report) -> bool:
    return report.mood == "happy"


def silent(seconds: int) -> Callable[[Report], bool]:
    """Whether a report tells that the camera has given nothing for so long."""

    def enough(report: Report) -> bool:
        words = (report.problem or "").split()
        return bool(words) and int(words[-2]) >= seconds

    return enough


def test_an_unplugged_camera_takes_its_mood_with_it_and_comes_back(
    webcam: Webcam, daemon: Daemon
) -> None:
    list(daemon.until(happy))
    webcam.unplug()
    *_, told = daemon.until(silent(2))
    assert (told.mood, told.faces) == (None, ())
    webcam.plug("mode MJPG 640 480 30")
    times = [report.time for report in daemon.until(happy)]
    assert times == sorted(times)
    status, errors = daemon.end()
    assert (status, len(errors.splitlines())) == (0, 1), errors
    (lost,) = errors.splitlines()
    assert lost.startswith(f"{webcam.path}: gives no more frames, after ")
    assert lost.endswith("is it plugged in?; trying to reopen it")
    assert webcam.streamed == ["MJPG 640x480 30"] * 2


def test_a_camera_that_stalls_is_told_and_opened_again(webcam: Webcam, daemon: Daemon) -> None:
    list(daemon.until(happy))
    webcam.plug("mode MJPG 640 480 30", "stall")
    # After 5 s it counts as lost.
    for report in daemon.until(silent(5)):
        assert report.mood is None or report.problem is None
    webcam.plug("mode MJPG 640 480 30")
    list(daemon.until(happy))
    assert daemon.end()[0] == 0
