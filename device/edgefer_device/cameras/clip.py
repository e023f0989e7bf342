"""`file:`, a video that stands in for a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np

from edgefer.errors import CameraError, CameraLost, CameraNotFound
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.system.address import choice, flag
from edgefer_device.system.clock import Clock

MISSING_FRAMES = 3
MISSING_SHARE = 0.05
"""A container may promise more frames than it holds (an edit list, a rounded duration:
no_face.mp4 promises 98 and holds 95), so a clip counts as cut short only when it lacks
more than both of these."""


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """The options of `file:`."""

    pace: Annotated[str, choice("real", "fast")] = "fast"
    """Whether the clip's own time really passes."""
    loop: Annotated[bool, flag] = False
    """Whether it begins again at its end."""


class Clip:
    """A video file, from its first frame to its last, or over and over."""

    def __init__(
        self, path: Path, capture: cv2.VideoCapture, options: ClipOptions, clock: Clock
    ) -> None:
        self.live = options.pace == "real"
        self._path, self._capture, self._loop, self._clock = path, capture, options.loop, clock
        self._closed = threading.Event()
        self._reading = threading.Lock()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames with the clip's own time; raise `CameraLost` where it ends early."""
        number, began, start = 0, 0.0, self._clock()
        while not self._closed.is_set():
            seen = 0
            for image, at in self._once():
                seen += 1
                if self.live:
                    self._closed.wait(began + at - (self._clock() - start))
                if due(began + at):
                    yield Frame(image, began + at, number)
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
        """Yield each frame of one pass and its time in seconds."""
        while not self._closed.is_set():
            with self._reading:
                there, image = self._capture.read()
                at = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not there:
                return
            yield np.asarray(image, np.uint8), at

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


def open_clip(path: Path, options: ClipOptions, clock: Clock) -> Clip:
    """Open a video; raise `CameraNotFound` or `CameraError`."""
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
    return Clip(path, capture, options, clock)
