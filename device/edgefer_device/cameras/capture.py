"""Live cameras whose frames are waited for: those behind OpenCV, and those like them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Protocol

import cv2
import numpy as np

from edgefer.errors import CameraLost
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.system.clock import Clock

CLOSE_SECONDS = 1.0
"""How long `close` waits for a read in another thread, which a driver may hold longer."""
TORN = 30
"""Frames in a row that cannot be decoded, after which the camera counts as lost."""


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def grab(self) -> bool:
        """Wait for the next frame; False where none came."""
        ...

    def retrieve(self) -> tuple[bool, Any]:
        """Return the frame that was waited for, BGR uint8; False where it is damaged."""
        ...

    def release(self) -> None:
        """Let go of the device; again is allowed."""
        ...


class CaptureCamera:
    """A live camera behind a `Capture`."""

    live = True

    def __init__(self, name: str, capture: Capture, clock: Clock, hint: str) -> None:
        """Take an open capture; `hint` says what to do when it no longer gives frames."""
        self._name, self._capture, self._clock, self._hint = name, capture, clock, hint
        self._closed = threading.Event()
        self._reading = threading.Lock()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames as they come; raise `CameraLost` when they no longer do."""
        number, torn = 0, 0
        while not self._closed.is_set():
            with self._reading:
                now = self._next()
                # In place of one that was due and damaged, the next is wanted.
                wanted = now is not None and (torn > 0 or due(now))
                image = self._decoded() if wanted else None
            if self._closed.is_set():
                break
            torn = torn + 1 if wanted and image is None else 0
            if now is None or torn >= TORN:
                what = "only damaged frames" if torn else "no more frames"
                raise CameraLost(f"{self._name}: gives {what}, after {number}; {self._hint}")
            if image is not None:
                yield Frame(image, now, number)
            number += torn == 0
        with self._reading:
            self._capture.release()

    def close(self) -> None:
        """Release the device, or leave that to the thread which is stuck reading it."""
        self._closed.set()
        if self._reading.acquire(timeout=CLOSE_SECONDS):
            self._capture.release()
            self._reading.release()

    def _next(self) -> float | None:
        """Wait for the next frame; return when it came, None where none did."""
        try:
            if self._closed.is_set() or not self._capture.grab():
                return None
        except cv2.error:
            return None
        return self._clock()

    def _decoded(self) -> Pixels | None:
        """Return the frame that came, unless it is damaged."""
        try:
            whole, image = self._capture.retrieve()
        except cv2.error:
            return None
        if not whole or image is None or not image.size:
            return None
        return np.asarray(image, np.uint8)
