"""What the Linux kernel says of a camera: its name, its formats, sizes and rates (V4L2).

The structures and numbers are those of `linux/videodev2.h`:
https://docs.kernel.org/userspace-api/media/v4l/user-func.html
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer_device.cameras.camera import Size

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


@dataclass(frozen=True, slots=True)
class Mode:
    """One way in which a camera can send frames."""

    fourcc: str
    """Pixel format, four characters."""
    size: Size
    rates: tuple[float, ...]
    """Frames a second, highest first; empty where the camera does not say."""


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
    number, form = question
    buffer = bytearray(start.ljust(form.size, b"\0"))
    fcntl.ioctl(node, number, buffer)
    return form.unpack(buffer)


def _counted(node: int, question: Question, *key: int) -> Iterator[tuple[Any, ...]]:
    """Yield the answers for index 0, 1, ... until the kernel says that there are no more."""
    # A driver that never says so is not worth waiting for.
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
            yield Mode(struct.pack("=I", pixels).decode("latin-1"), size, tuple(rates))


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
