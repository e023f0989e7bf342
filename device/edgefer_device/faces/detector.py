"""The face detector protocol and its one convention for boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels


class FaceDetector(Protocol):
    """Finds the faces of a frame.

    Boxes follow one convention, whatever the detector: the square that FER2013
    would have cropped, since that is what the model learned to read.
    """

    name: str = ""
    """By which it is opened."""

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the faces of a BGR image uint8 (H, W, 3), the surest first."""
        ...

    def watch(
        self, image: Pixels, known: Sequence[Box] = (), search: bool = True
    ) -> list[Detection]:
        """Return the faces of a video's frame, in which faces at `known` boxes were followed.

        Without `search` only those need be looked at. A detector that inherits this takes every
        frame for a still.
        """
        return self.detect(image)


@dataclass(frozen=True, slots=True)
class BoxCalibration:
    """How a detector's own box lies to FER2013's square, in sides of the own box."""

    scale: float
    """Side of the square."""
    across: float
    """From the own box's centre to the square's, to the right."""
    down: float
    """The same, downwards."""

    def square(self, own: Box) -> Box:
        """Return the square for a detector's own box, whose side is its mean side."""
        side = (own.width + own.height) / 2
        x = own.left + own.width / 2 + self.across * side
        y = own.top + own.height / 2 + self.down * side
        half = self.scale * side / 2
        return Box(x - half, y - half, 2 * half, 2 * half)
