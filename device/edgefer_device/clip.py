"""`file:`, a video that stands in for a camera."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import CameraError, CameraLost, CameraNotFound
from edgefer_device.camera import Clock, Frame

# Read when FFmpeg is first used: its own complaints would stand beside our one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

MISSING_FRAMES = 3
MISSING_SHARE = 0.05
"""A container may promise more frames than it holds (an edit list, a rounded duration:
no_face.mp4 promises 98 and holds 95), so a clip counts as cut short only when it lacks
more than both of these."""


class Clip:
    """A video file, from its first frame to its last, or over and over."""

    def __init__(
        self, path: Path, capture: cv2.VideoCapture, real: bool, loop: bool, clock: Clock
    ) -> None:
        self.live = real
        self._path, self._capture, self._loop, self._clock = path, capture, loop, clock
        self._closed = threading.Event()
        self._reading = threading.Lock()

    def frames(self) -> Iterator[Frame]:
        """Yield frames with the clip's own time; raise `CameraLost` where it ends early."""
        number, began, start = 0, 0.0, self._clock()
        while not self._closed.is_set():
            seen = 0
            for picture, at in self._once():
                seen += 1
                if self.live:
                    self._closed.wait(began + at - (self._clock() - start))
                yield Frame(picture, began + at, number)
                last, number = began + at, number + 1
            if self._closed.is_set():
                return
            self._refuse_cut_short(seen)
            if not self._loop:
                return
            began = last + self._frame_seconds
            self._rewind()

    def close(self) -> None:
        """Let go of the file; again is allowed."""
        self._closed.set()
        with self._reading:
            self._capture.release()

    def _once(self) -> Iterator[tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], float]]:
        """Yield each picture of one pass and its time in seconds."""
        while not self._closed.is_set():
            with self._reading:
                there, picture = self._capture.read()
                at = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not there:
                return
            yield np.asarray(picture, np.uint8), at

    @property
    def _frame_seconds(self) -> float:
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        return 1 / rate if rate > 0 else 0.0

    def _refuse_cut_short(self, seen: int) -> None:
        promised = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if seen == 0 or promised - seen > max(MISSING_FRAMES, MISSING_SHARE * promised):
            raise CameraLost(
                f"{self._path}: ended early, after {seen} of {promised} frames; copy it again"
            )

    def _rewind(self) -> None:
        with self._reading:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)


def open_clip(path: Path, real: bool, loop: bool, clock: Clock = time.monotonic) -> Clip:
    """Open a video; `real` plays it at its own speed, `loop` begins again at its end.

    Raises `CameraNotFound` and `CameraError`.
    """
    if not path.is_file():
        raise CameraNotFound(f"{path}: no such video file")
    # FFmpeg plays any text file as a video of a terminal; every real container holds NULs.
    with path.open("rb") as file:
        is_text = b"\0" not in file.read(4096)
    # One thread decodes faster than we look, and each more would hold frames of its own.
    settings = [cv2.CAP_PROP_N_THREADS, 1]
    capture = None if is_text else cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, settings)
    if capture is None or not capture.isOpened():
        raise CameraError(
            f"{path}: not a video that OpenCV can read, or cut short before its index"
        )
    return Clip(path, capture, real, loop, clock)
