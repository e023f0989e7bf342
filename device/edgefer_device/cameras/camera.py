"""The camera protocol, its frames, and the options that every camera has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import cv2
import numpy as np

from edgefer.errors import CameraError
from edgefer.preprocess import Pixels
from edgefer_device.system.address import choice, flag

Due = Callable[[float], bool]
"""Whether the frame of a time is wanted, seconds on the camera's clock."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and when it was taken."""

    image: Pixels
    """BGR uint8 (H, W, 3)."""
    time: float
    """Seconds on the camera's clock: a clip's own time, or since a live camera opened."""
    number: int
    """Count of frames since the camera opened, from 0."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height, pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Parse `640x480`."""
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
        if match is None:
            raise ValueError("a width and a height such as 640x480")
        return cls(*map(int, match.groups()))

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    def holds(self, other: Size) -> bool:
        """Whether another size fits into this one."""
        return self.width >= other.width and self.height >= other.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


VGA = Size(640, 480)
"""Supported by every camera, and enough for faces at arm's length."""


TURNS = {
    "90": cv2.ROTATE_90_CLOCKWISE,
    "180": cv2.ROTATE_180,
    "270": cv2.ROTATE_90_COUNTERCLOCKWISE,
}
"""By degrees clockwise."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of the camera's own frame, pixels."""

    width: int
    height: int
    left: int
    top: int

    @classmethod
    def parse(cls, text: str) -> Crop:
        """Read `WIDTHxHEIGHT+LEFT+TOP`, such as 480x480+80+0."""
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})\+(\d{1,5})\+(\d{1,5})", text)
        if match is None:
            raise ValueError("WIDTHxHEIGHT+LEFT+TOP in pixels, such as 480x480+80+0")
        return cls(*map(int, match.groups()))

    def cut(self, image: Pixels) -> Pixels:
        """Return the rectangle of a frame (H, W, 3); raise `CameraError` where it leaves it."""
        height, width = image.shape[:2]
        if self.left + self.width > width or self.top + self.height > height:
            raise CameraError(
                f"crop={self} leaves the camera's frame, which is {width}x{height}; make it fit"
            )
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.left}+{self.top}"


@dataclass(frozen=True, slots=True)
class View:
    """The options that every camera has; the crop is taken first, then the rest in this order."""

    rotate: Annotated[str, choice("0", "90", "180", "270")] = "0"
    """Degrees clockwise."""
    mirror: Annotated[bool, flag] = False
    """Left becomes right, as in a mirror."""
    crop: Annotated[Crop | None, Crop.parse] = None

    def apply(self, image: Pixels) -> Pixels:
        """Return a frame (H, W, 3) as the options ask; raise `CameraError` if a crop leaves it."""
        if self == View():
            return image
        if self.crop is not None:
            image = self.crop.cut(image)
        if self.rotate in TURNS:
            image = np.asarray(cv2.rotate(image, TURNS[self.rotate]), np.uint8)
        if self.mirror:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        return np.ascontiguousarray(image)


def always(_: float) -> bool:
    """Want every frame."""
    return True


class Camera(Protocol):
    """A source of frames in order, read by one thread."""

    @property
    def live(self) -> bool:
        """Whether time passes by itself, so that frames not taken at once are lost."""
        ...

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames until the end or `close`; raise `CameraLost` if they stop before.

        Those that are not `due` are passed over, before they are decoded where that can be:
        it is asked once for each, in order. Times never run backwards.
        """
        ...

    def close(self) -> None:
        """Release the camera; may be called from any thread, and again."""
        ...
