"""`file:`, `images:` and `demo:`: a video, images or a portrait in place of a camera."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np

from edgefer.errors import CameraError, CameraLost, CameraNotFound, ImageError
from edgefer.files import files_in, is_image
from edgefer.portrait import read_portrait, view
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.system.address import choice, flag, number
from edgefer_device.system.clock import Clock
from edgefer_device.system.image_file import read_image

log = logging.getLogger(__name__)

MISSING_FRAMES = 3
MISSING_SHARE = 0.05
"""A container may promise more frames than it holds (an edit list, a rounded duration:
no_face.mp4 promises 98 and holds 95), so a clip counts as cut short only when it lacks
more than both of these."""
SLOWEST, FASTEST, USUAL_RATE = 0.1, 1000.0, 25.0
"""Frames a second: what a container's rate is believed between, and what is taken instead, as by
FFmpeg for raw streams."""
DEMO_RATE = 15
"""Frames a second."""
PACE = choice("real", "fast")


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """The options of `file:`."""

    pace: Annotated[str, PACE] = "fast"
    """Whether the clip's own time really passes."""
    loop: Annotated[bool, flag] = False
    """Whether it begins again at its end."""


@dataclass(frozen=True, slots=True)
class ImagesOptions:
    """The options of `images:`."""

    rate: Annotated[float, number(0.01, 240)] = 10.0
    """Images a second, on the camera's clock."""
    pace: Annotated[str, PACE] = "fast"
    """Whether that time really passes."""
    loop: Annotated[bool, flag] = False
    """Whether the first image comes after the last."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of `demo:`."""

    pace: Annotated[str, PACE] = "real"
    """Whether time passes; else frames come as they are read, each with a time of its own."""


class Recording:
    """What stands in for a camera: each frame comes when its time has, if it is live."""

    def __init__(self, live: bool, clock: Clock, waiting: threading.Event | None = None) -> None:
        """`waiting` is what the pace is kept with; it is set at the end."""
        self.live, self._clock = live, clock
        self._closed = waiting or threading.Event()

    def close(self) -> None:
        """End the frames; again is allowed."""
        self._closed.set()

    def _wait_until(self, time: float) -> None:
        if self.live:
            self._closed.wait(time - self._clock())


class Clip(Recording):
    """A video file, from its first frame to its last, or over and over."""

    def __init__(
        self, path: Path, capture: cv2.VideoCapture, options: ClipOptions, clock: Clock
    ) -> None:
        super().__init__(options.pace == "real", clock)
        self._path, self._capture, self._loop = path, capture, options.loop
        rate = capture.get(cv2.CAP_PROP_FPS)
        self._step = 1 / rate if SLOWEST <= rate <= FASTEST else 1 / USUAL_RATE
        """Seconds between two frames, where their own time stands still."""
        self._reading = threading.Lock()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames with the clip's own time; raise `CameraLost` where it ends early."""
        number, began, start = 0, 0.0, self._clock()
        while not self._closed.is_set():
            seen, last, longest = 0, 0.0, self._step
            for image, at in self._once():
                seen += 1
                self._wait_until(start + began + at)
                if due(began + at):
                    yield Frame(image, began + at, number)
                longest, last, number = max(longest, at - last), at, number + 1
            if self._closed.is_set():
                return
            self._refuse_cut_short(seen, last + longest)
            if not self._loop:
                return
            began += last + self._step
            self._rewind()

    def close(self) -> None:
        """Let go of the file; again is allowed."""
        super().close()
        with self._reading:
            self._capture.release()

    def _once(self) -> Iterator[tuple[Pixels, float]]:
        """Yield each frame of one pass and its time in seconds, which always advances."""
        last = -self._step
        while not self._closed.is_set():
            with self._reading:
                there, image = self._capture.read()
                at = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not there:
                return
            # A raw stream (.h264) has no time, and a damaged one may repeat it.
            last = at if at > last else last + self._step
            yield np.asarray(image, np.uint8), last

    def _rewind(self) -> None:
        """Go back to the first frame by opening the file anew: not every container can seek."""
        with self._reading:
            if not self._closed.is_set():
                self._capture.release()
                self._capture = _capture(self._path)

    def _refuse_cut_short(self, seen: int, end: float) -> None:
        """Raise `CameraLost` where both frames and time are missing at the end.

        Where the frame rate varies, a container's number of frames is a guess, and the last may
        stay as long as any other: until `end`, seconds.
        """
        promised = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        missing = min(promised - seen, promised - end / self._step)
        if seen == 0 or missing > max(MISSING_FRAMES, MISSING_SHARE * promised):
            raise CameraLost(
                f"{self._path}: ended early, after {seen} of {promised} frames; copy it again"
            )


class Images(Recording):
    """Images in the order of their names."""

    def __init__(
        self,
        paths: list[Path],
        options: ImagesOptions,
        clock: Clock,
        waiting: threading.Event | None = None,
    ) -> None:
        super().__init__(options.pace == "real", clock, waiting)
        self._paths, self._options = paths, options
        self._last: tuple[Path, Pixels] | None = None

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield each image; skip a file that is none aloud, raise `CameraError` where all are."""
        start, bad = self._clock(), set[Path]()
        for position in numbers() if self._options.loop else range(len(self._paths)):
            at, path = position / self._options.rate, self._paths[position % len(self._paths)]
            self._wait_until(start + at)
            if self._closed.is_set():
                return
            image = None if path in bad else self._read(path)
            if image is None:
                bad.add(path)
                if len(bad) == len(self._paths):
                    raise CameraError(f"{path.parent}: no file that is an image; see the warnings")
            elif due(at):
                yield Frame(image, at, position)

    def _read(self, path: Path) -> Pixels | None:
        """Return an image, BGR (H, W, 3), or None; a single one is not decoded over and over."""
        if self._last is None or self._last[0] != path:
            try:
                self._last = path, read_image(path)
            except ImageError as exc:
                log.warning("%s; skipped", exc)
                return None
        return self._last[1]


class Portrait(Recording):
    """A slow camera move over one image, 15 frames a second."""

    def __init__(self, image: Pixels, options: DemoOptions, clock: Clock) -> None:
        super().__init__(options.pace == "real", clock)
        self._image = image

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the view of each moment until `close`."""
        number = 0
        while not self._closed.is_set():
            now = self._clock() if self.live else number / DEMO_RATE
            if due(now):
                yield Frame(view(self._image, now), now, number)
            number += 1
            self._wait_until((math.floor(now * DEMO_RATE) + 1) / DEMO_RATE)


def open_clip(path: Path, options: ClipOptions, clock: Clock) -> Clip:
    """Open a video; raise `CameraNotFound` or `CameraError`."""
    if not path.is_file():
        raise CameraNotFound(f"{path}: no such video file")
    # FFmpeg plays any text file as a video of a terminal; every real container holds NULs.
    with path.open("rb") as file:
        is_text = b"\0" not in file.read(4096)
    capture = None if is_text else _capture(path)
    if capture is None or not capture.isOpened():
        raise CameraError(
            f"{path}: not a video that OpenCV can read, or cut short before its index"
        )
    return Clip(path, capture, options, clock)


def _capture(path: Path) -> cv2.VideoCapture:
    """Open a file by FFmpeg, whatever its name: `12:30.mp4` would be a protocol to it."""
    # One thread decodes faster than frames are analysed; each more would hold frames of its own.
    settings = [cv2.CAP_PROP_N_THREADS, 1]
    try:
        name = str(path.absolute())
        name.encode()
    except UnicodeEncodeError:
        # OpenCV would crash on a name that is not UTF-8: it gets the file's descriptor.
        with path.open("rb") as file:
            return cv2.VideoCapture(f"/proc/self/fd/{file.fileno()}", cv2.CAP_FFMPEG, settings)
    return cv2.VideoCapture(name, cv2.CAP_FFMPEG, settings)


def open_images(
    path: Path, options: ImagesOptions, clock: Clock, waiting: threading.Event | None = None
) -> Images:
    """Open a folder of images or one image; raise `CameraNotFound` where there is none."""
    if path.is_file():
        return Images([path], options, clock, waiting)
    found = files_in(path) if path.is_dir() else []
    paths = [one for one in found if is_image(one) and one.is_file()]
    if not paths:
        what = "no image in this folder" if path.is_dir() else "no such folder or image"
        raise CameraNotFound(f"{path}: {what}; expected files such as .jpg or .png")
    return Images(paths, options, clock, waiting)


def open_portrait(options: DemoOptions, clock: Clock) -> Portrait:
    """Open the portrait that scikit-image carries; raise `CameraNotFound` without it."""
    return Portrait(read_portrait(), options, clock)
