"""`v4l2:` and `auto:`, cameras of the Linux kernel."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edgefer.errors import CameraError, CameraLost, CameraNotFound
from edgefer.notices import Fallback
from edgefer_device.camera import Camera, Clock, Frame

WIDTH, HEIGHT = 640, 480
CLOSE_SECONDS = 1.0
"""How long `close` waits for a read in another thread: the kernel may hold that for 10 s."""


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def read(self) -> tuple[bool, Any]:
        """Wait for the next picture; False where there is none."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


class Webcam:
    """A live camera behind OpenCV."""

    live = True

    def __init__(self, name: str, capture: Capture, clock: Clock) -> None:
        self._name, self._capture, self._clock = name, capture, clock
        self._closed = threading.Event()
        self._reading = threading.Lock()

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come; raise `CameraLost` when they no longer do."""
        start, number = self._clock(), 0
        while not self._closed.is_set():
            with self._reading:
                there, picture = self._capture.read()
            if self._closed.is_set():
                break
            if not there:
                raise CameraLost(
                    f"{self._name}: gives no more frames, after {number}; is it plugged in?"
                )
            yield Frame(np.asarray(picture, np.uint8), self._clock() - start, number)
            number += 1
        with self._reading:
            self._capture.release()

    def close(self) -> None:
        """Release the device, or leave that to the thread which is stuck reading it."""
        self._closed.set()
        if self._reading.acquire(timeout=CLOSE_SECONDS):
            self._capture.release()
            self._reading.release()


def open_webcam(name: str, clock: Clock = time.monotonic) -> Webcam:
    """Open a V4L2 device; raise `CameraNotFound` or `CameraError`."""
    if not Path(name).exists():
        raise CameraNotFound(f"{name or 'v4l2:'}: no such camera; try --camera demo: or file:PATH")
    # OpenCV warns on stderr of what our one line says better.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    capture = cv2.VideoCapture(name, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraError(f"{name}: cannot be opened as a camera; is it in use, may you read it?")
    # Uncompressed pictures do not fit USB 2 at this size and full rate.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
    return Webcam(name, capture, clock)


def first_camera(clock: Clock = time.monotonic, devices: Path = Path("/dev")) -> Camera:
    """Open the first `/dev/video*` that is a camera; else `demo:`, with a `Fallback` warning."""
    found = sorted(devices.glob("video*"), key=lambda path: (len(path.name), path.name))
    for path in found:
        try:
            return open_webcam(str(path), clock)
        except CameraError:
            continue
    from edgefer_device.portrait import open_portrait

    why = f"none of {len(found)} {devices}/video* opens" if found else f"no {devices}/video*"
    warnings.warn(f"no camera ({why}); showing demo: instead", Fallback, stacklevel=2)
    return open_portrait(clock)
