"""`v4l2:`, cameras of the Linux kernel: USB webcams and all else that shows as /dev/video*."""

from __future__ import annotations

import errno
import getpass
import logging
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import msgspec

from edgefer.errors import CameraError, CameraNotFound
from edgefer_device.cameras import STALL_SECONDS
from edgefer_device.cameras.camera import VGA, Size
from edgefer_device.cameras.capture import CaptureCamera
from edgefer_device.system.address import choice, number
from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

DECODED = ("YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12", "BGR3", "RGB3", "GREY", "MJPG", "JPEG")
"""The formats that OpenCV turns into frames, the cheapest that cameras have first. JPEG is
last: of a 640x480 frame it took 10 ms where YUYV took 0.2 (one core of this project's
x86 machine, busy), and 30 a second of those are a third of the core."""

FORMATS = choice("auto", *(name.lower() for name in DECODED))

NO_CAMERAS = ("bcm2835-isp", "pispbe", "rp1-cfe", "unicam", "rpi-hevc-dec")
"""Drivers of a Raspberry Pi whose nodes look like cameras: stages of the one behind picamera2."""

DEVICES = Path("/dev")
TRIES = 2
"""Modes that are tried: a camera may offer one for which the bus has no room left."""
FULL = 0.9
"""Share of the requested rate that counts as reaching it: 27.5 is as good as 30."""


@dataclass(frozen=True, slots=True)
class V4l2Options:
    """The options of `v4l2:`."""

    size: Annotated[Size, Size.parse] = VGA
    """The camera's next larger size is taken where it has not this one."""
    rate: Annotated[float, number(1, 240)] = 30.0
    """Frames a second."""
    format: Annotated[str, FORMATS] = "auto"
    """Pixel format; auto takes the cheapest that reaches the rate."""


def open_v4l2(name: str, options: V4l2Options, clock: Clock) -> CaptureCamera:
    """Open a device by its path, or the first that is a camera for an empty `name`.

    Raises `CameraNotFound` where there is none and `CameraError` where it may not be
    opened, is no camera or gives no frame.
    """
    path = Path(name) if name else first_device()
    if not path.exists():
        raise CameraNotFound(f"{path}: no such camera; see: edgefer cameras")
    device = _asked(path)
    asked = clock()
    for mode in ranked(device.modes, options, str(path))[:TRIES]:
        capture = _opened(path, mode, options.rate)
        # Whether the bus has room and nobody else reads shows with the first frame only.
        if capture is not None and capture.grab():
            log.info("%s: %s, %s %s", path, device.name, mode.format, mode.size)
            return CaptureCamera(str(path), capture, clock, "is it plugged in?")
        if capture is not None:
            capture.release()
        if clock() - asked > STALL_SECONDS / 2:
            break  # it was not refused: it streams, but nothing comes
    raise CameraError(f"{path}: gives no frame; is another program using it? (fuser -v {path})")


def first_device(devices: Path = DEVICES) -> Path:
    """Return the first node that is a camera; raise `CameraNotFound`."""
    found = nodes(devices)
    for path in found:
        try:
            if usable(query(path)):
                return path
        except OSError:
            continue
    why = f"none of {len(found)} {devices}/video* is one" if found else f"no {devices}/video*"
    raise CameraNotFound(f"no camera ({why}); plug one in, then see: edgefer cameras")


def nodes(devices: Path = DEVICES) -> list[Path]:
    """Return the nodes that may be cameras, in the order of their numbers."""
    return sorted(devices.glob("video*"), key=lambda path: (len(path.name), path.name))


def usable(device: Device | None) -> bool:
    """Whether a device gives frames that OpenCV can read."""
    if device is None or not device.captures or device.driver in NO_CAMERAS:
        return False
    return any(mode.format in DECODED for mode in device.modes)


def ranked(modes: Sequence[Mode], options: V4l2Options, name: str) -> list[Mode]:
    """Return the modes of the size nearest to what is wanted, the best first.

    A mode that reaches the rate goes before one that does not, then the cheaper to
    decode. Raises `CameraError` where no mode has the format.
    """
    formats = DECODED if options.format == "auto" else (options.format.upper(),)
    able = [mode for mode in modes if mode.format in formats]
    if not able:
        have = ", ".join(dict.fromkeys(mode.format for mode in modes)) or "none"
        raise CameraError(f"{name}: has no format of {', '.join(formats)}; it has: {have}")
    size = _nearest({mode.size for mode in able}, options.size)

    def order(mode: Mode) -> tuple[float, int]:
        fastest = max(mode.rates, default=options.rate)
        missing = 0.0 if fastest >= FULL * options.rate else options.rate - fastest
        return missing, DECODED.index(mode.format)

    return sorted((mode for mode in able if mode.size == size), key=order)


def _nearest(sizes: set[Size], wanted: Size) -> Size:
    """Return the smallest size that holds the wanted one, else the largest."""
    holding = [size for size in sizes if size.holds(wanted)]
    if holding:
        return min(holding, key=lambda size: size.area)
    return max(sizes, key=lambda size: size.area)


def _asked(path: Path) -> Device:
    """Return what stands at a path; raise `CameraError` unless it is a camera that may be read."""
    try:
        device = query(path)
    except PermissionError:
        raise CameraError(f"{path}: may not be opened; {permission_advice()}") from None
    except OSError as exc:
        raise CameraError(f"{path}: cannot be opened as a camera: {exc.strerror}") from exc
    if device is None:
        raise CameraError(f"{path}: cannot be opened as a camera; see: edgefer cameras")
    if device.driver in NO_CAMERAS:
        raise CameraError(f"{path}: is a stage of the Raspberry Pi's own camera; use picamera2:")
    if not device.captures:
        raise CameraError(f"{path}: gives no frames ({device.name}); see: edgefer cameras")
    return device


def permission_advice() -> str:
    """Return how a user comes to read cameras."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a service's user may have no name
        user = str(os.getuid())
    return f"run: sudo usermod -aG video {user}, then log in again"


def _opened(path: Path, mode: Mode, rate: float) -> cv2.VideoCapture | None:
    """Return OpenCV's capture in a mode, or None where OpenCV refuses the device."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not capture.isOpened():
        return None
    # The format first: a size or a rate may be out of reach in the one that was set.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.format))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.size.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.size.height)
    capture.set(cv2.CAP_PROP_FPS, min(rate, max(mode.rates, default=rate)))
    return capture


# The structures and numbers are those of `linux/videodev2.h`:
# https://docs.kernel.org/userspace-api/media/v4l/user-func.html
CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
CAN_CAPTURE = 0x00000001  # V4L2_CAP_VIDEO_CAPTURE
IS_CODEC = 0x0000C000  # V4L2_CAP_VIDEO_M2M, with planes or without
HAS_OWN_CAPABILITIES = 0x80000000  # V4L2_CAP_DEVICE_CAPS
DISCRETE = 1  # V4L2_FRMSIZE_TYPE_DISCRETE and V4L2_FRMIVAL_TYPE_DISCRETE

Question = tuple[int, struct.Struct]

CAPABILITY = 0x80685600, struct.Struct("=16s32s32s6I")  # VIDIOC_QUERYCAP
FORMAT = 0xC0405602, struct.Struct("=3I32s5I")  # VIDIOC_ENUM_FMT
FRAME_SIZE = 0xC02C564A, struct.Struct("=11I")  # VIDIOC_ENUM_FRAMESIZES
FRAME_INTERVAL = 0xC034564B, struct.Struct("=13I")  # VIDIOC_ENUM_FRAMEINTERVALS

USUAL_SIZES = ((320, 240), (640, 360), (640, 480), (800, 600), (1280, 720), (1920, 1080))
"""Those that are named of a camera which offers a whole range."""


class Mode(msgspec.Struct, frozen=True):
    """One format and size in which a camera sends frames."""

    format: str
    """Pixel format, four characters."""
    width: int
    height: int
    rates: tuple[float, ...]
    """Frames a second, highest first; empty where unknown."""

    @property
    def size(self) -> Size:
        """Width and height, pixels."""
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Device:
    """One node under /dev that speaks V4L2."""

    path: Path
    driver: str
    name: str
    captures: bool
    """Whether it gives frames: most cameras have a second node that gives only metadata."""
    modes: tuple[Mode, ...]


def query(path: Path) -> Device | None:
    """Ask a node what it is; None where it does not speak V4L2. Raises `OSError` unopened."""
    node = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        driver, name, _, _, whole, own, *_ = _ask(node, CAPABILITY, b"")
        abilities = own if whole & HAS_OWN_CAPABILITIES else whole
        captures = bool(abilities & CAN_CAPTURE) and not abilities & IS_CODEC
        modes = tuple(_modes(node)) if captures else ()
    except OSError:
        return None
    finally:
        os.close(node)
    return Device(path, _text(driver), _text(name), captures, modes)


def _ask(node: int, question: Question, start: bytes) -> tuple[Any, ...]:
    """Call the kernel with a structure that begins with `start`; return its fields."""
    import fcntl  # not on Windows, from where devices are deployed to

    number, form = question
    buffer = bytearray(start.ljust(form.size, b"\0"))
    fcntl.ioctl(node, number, buffer)
    return form.unpack(buffer)


def _counted(node: int, question: Question, *key: int) -> Iterator[tuple[Any, ...]]:
    """Yield the structures for index 0, 1, ... until the kernel has no more."""
    # A driver may never report the end.
    for index in range(256):
        try:
            yield _ask(node, question, struct.pack(f"={1 + len(key)}I", index, *key))
        except OSError as exc:
            if exc.errno in (errno.EINVAL, errno.ENOTTY):
                return
            raise


def _modes(node: int) -> Iterator[Mode]:
    for _, _, _, _, pixels, *_ in _counted(node, FORMAT, CAPTURE):
        for size in _sizes(node, pixels):
            rates = sorted(set(_rates(node, pixels, size)), reverse=True)
            form = struct.pack("=I", pixels).decode("latin-1")
            yield Mode(form, size.width, size.height, tuple(rates))


def _sizes(node: int, pixels: int) -> Iterator[Size]:
    for _, _, kind, *sides in _counted(node, FRAME_SIZE, pixels):
        if kind == DISCRETE:
            yield Size(sides[0], sides[1])
            continue
        least_width, most_width, _, least_height, most_height, _ = sides[:6]
        for width, height in USUAL_SIZES:
            if least_width <= width <= most_width and least_height <= height <= most_height:
                yield Size(width, height)
        return


def _rates(node: int, pixels: int, size: Size) -> Iterator[float]:
    for _, _, _, _, kind, *parts in _counted(node, FRAME_INTERVAL, pixels, size.width, size.height):
        # An interval is a fraction of seconds; a range gives its shortest and its longest.
        pairs = [parts[:2]] if kind == DISCRETE else [parts[:2], parts[2:4]]
        yield from (round(under / over, 2) for over, under in pairs if over and under)
        if kind != DISCRETE:
            return


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")
