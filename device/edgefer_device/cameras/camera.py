"""The camera protocol and its frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from edgefer.preprocess import Pixels

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
