"""`images:`, a folder of images, or one, that stands in for a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path
from typing import Annotated

from edgefer.errors import CameraError, CameraNotFound, ImageError
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.system.address import choice, flag, number
from edgefer_device.system.clock import Clock
from edgefer_device.system.image_file import read_image

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class ImagesOptions:
    """The options of `images:`."""

    rate: Annotated[float, number(0.01, 240)] = 10.0
    """Images a second, on the camera's clock."""
    pace: Annotated[str, choice("real", "fast")] = "fast"
    """Whether that time really passes."""
    loop: Annotated[bool, flag] = False
    """Whether the first image comes after the last."""


class Images:
    """Images in the order of their names."""

    def __init__(
        self,
        paths: list[Path],
        options: ImagesOptions,
        clock: Clock,
        waiting: threading.Event | None = None,
    ) -> None:
        """Take the files; `waiting` is what the pace is kept with."""
        self.live = options.pace == "real"
        self._paths, self._options, self._clock = paths, options, clock
        self._closed = waiting or threading.Event()
        self._last: tuple[Path, Pixels] | None = None

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield each image; raise `CameraError` at a file that is none."""
        start = self._clock()
        every = numbers() if self._options.loop else range(len(self._paths))
        for position in every:
            at = position / self._options.rate
            image = self._read(self._paths[position % len(self._paths)])
            if self.live:
                self._closed.wait(at - (self._clock() - start))
            if self._closed.is_set():
                return
            if due(at):
                yield Frame(image, at, position)

    def close(self) -> None:
        """End the frames; again is allowed."""
        self._closed.set()

    def _read(self, path: Path) -> Pixels:
        """Return an image, BGR (H, W, 3); a single one is not decoded over and over."""
        if self._last is None or self._last[0] != path:
            try:
                self._last = path, read_image(path)
            except ImageError as exc:
                raise CameraError(f"{exc}; remove it") from exc
        return self._last[1]


def open_images(
    path: Path, options: ImagesOptions, clock: Clock, waiting: threading.Event | None = None
) -> Images:
    """Open a folder of images or one image; raise `CameraNotFound` where there is none."""
    if path.is_file():
        return Images([path], options, clock, waiting)
    found = sorted(path.iterdir()) if path.is_dir() else []
    paths = [one for one in found if one.suffix.lower() in SUFFIXES and one.is_file()]
    if not paths:
        what = "no image in this folder" if path.is_dir() else "no such folder or image"
        raise CameraNotFound(f"{path}: {what}; expected files such as .jpg or .png")
    return Images(paths, options, clock, waiting)
