"""Detection of motion between frames, on thumbnails."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.messages import Box
from edgefer.preprocess import Pixels, to_grey

SIZE = (40, 30)
"""Width and height of the thumbnails that are compared: each pixel a mean, almost free of noise."""
LEVELS = 8.0
"""Grey levels by which one of its pixels must differ: of a sensor's noise of 12 levels less than
one is left, and four frames of a clip in which somebody moves make 9 to 140."""
CHANGE = 0.15
"""Of the contrast where a face is, so that light makes no difference: mean change by which it has
moved. On the clips, as they are and at a fifth of their light, a face followed by this lies within
0.06 of its side in nine of ten frames and 0.1 in all, as with 1.5 to 3 times the detections."""
ENOUGH = 160
"""Longer side, pixels, to which an image is halved first."""


class Motion:
    """Compares each frame with the last one in which faces were detected."""

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None
        self._now: NDArray[np.float32] | None = None

    def moved(self, image: Pixels, faces: Sequence[Box] = ()) -> bool:
        """Whether a BGR image uint8 (H, W, 3) differs from the marked one: where the faces are
        that are known, or anywhere."""
        small = cv2.resize(halved(image, ENOUGH), SIZE, interpolation=cv2.INTER_AREA)
        self._now = to_grey(np.asarray(small, np.uint8)).astype(np.float32)
        if self._before is None:
            return True
        changes = cv2.absdiff(self._now, self._before)
        if not faces:
            return bool(changes.max() >= LEVELS)
        places = (_place(face, image) for face in faces)
        # OpenCV takes a fifth of NumPy's time for so few numbers.
        return any(
            cv2.mean(changes[at])[0] > CHANGE * cv2.meanStdDev(self._before[at])[1].item()
            for at in places
        )

    def mark(self) -> None:
        """Compare with the last image from now on."""
        self._before = self._now


def _place(face: Box, image: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of a thumbnail that show a face of an image, one at least."""
    height, width = image.shape[:2]
    down, across = SIZE[1] / height, SIZE[0] / width
    return (
        _span(face.top * down, face.bottom * down, SIZE[1]),
        _span(face.left * across, face.right * across, SIZE[0]),
    )


def _span(begin: float, end: float, size: int) -> slice:
    first = min(max(0, math.floor(begin)), size - 1)
    return slice(first, max(first + 1, math.ceil(end)))


def halved(image: Pixels, least: int) -> Pixels:
    """Return an image halved while its longer side stays at least `least` pixels.

    Only even sides are halved, so the result shows exactly what the image does. OpenCV averages
    squares of 2x2 pixels many times faster than areas that divide no pixel evenly: a 640x360
    image is at 320x180 after 0.07 ms, at 192x108 at once only after 0.9 ms (one core of a
    Sapphire Rapids Xeon).
    """
    while max(image.shape[:2]) >= 2 * least and not (image.shape[0] | image.shape[1]) & 1:
        size = image.shape[1] // 2, image.shape[0] // 2
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image
