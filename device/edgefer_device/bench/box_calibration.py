"""How a detector's boxes lie to the squares that FER2013 was cropped to.

FER2013's pictures were cut by one detector, of which the model knows nothing
else; each of ours cuts differently, and what the model sees must not depend on
which is used. `measure` finds the difference on FER2013's own pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer_device.faces.detector import BoxCalibration, FaceDetector


@dataclass(frozen=True, slots=True)
class Measured:
    """What `measure` found."""

    calibration: BoxCalibration
    """Medians; (1, 0, 0) where the detector's boxes are FER2013's squares already."""
    found: int
    """Pictures in which the detector saw the face."""


CANVAS = (640, 480)
"""Width and height of the scene that a picture is put into, pixels."""
BLACK, EDGE = "black", "edge"
"""What is around the picture: nothing, or its own edge repeated."""


def measure(
    detector: FaceDetector, pictures: Iterable[Pixels], side: int, around: str = BLACK
) -> Measured:
    """Run a detector on FER2013 pictures (48, 48), each `side` pixels wide in a scene.

    The constants were measured on black: with the picture's edge repeated, BlazeFace finds
    62 % of the faces instead of 94 %, and its boxes depend more on how large they are.
    """
    frame = middle(side)
    seen = [nearest(detector, scene(picture, side, around), frame) for picture in pictures]
    return Measured(median(seen, frame), sum(box is not None for box in seen))


def middle(side: int) -> Box:
    """Return where a picture is in its scene."""
    return Box((CANVAS[0] - side) / 2, (CANVAS[1] - side) / 2, side, side)


def median(boxes: Iterable[Box | None], frame: Box) -> BoxCalibration:
    """Return the median of how boxes lie to the frame; without any, as if they were it."""
    rows = np.array([offsets(box, frame) for box in boxes if box is not None])
    return BoxCalibration(*(map(float, np.median(rows, axis=0)) if len(rows) else (1, 0, 0)))


def scene(picture: Pixels, side: int, around: str | Pixels = BLACK) -> Pixels:
    """Return the picture enlarged in the middle of a canvas, BGR uint8 (480, 640, 3).

    `around` is `BLACK`, `EDGE`, or a BGR picture that it is pasted into.
    """
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    beside, above = (CANVAS[0] - side) // 2, (CANVAS[1] - side) // 2
    if not isinstance(around, str):
        canvas = cv2.resize(around, CANVAS, interpolation=cv2.INTER_AREA)
        canvas[above : above + side, beside : beside + side] = large[..., np.newaxis]
        return np.asarray(canvas, np.uint8)
    how = cv2.BORDER_REPLICATE if around == EDGE else cv2.BORDER_CONSTANT
    whole = cv2.copyMakeBorder(large, above, above, beside, beside, how)
    return np.asarray(cv2.cvtColor(whole, cv2.COLOR_GRAY2BGR), np.uint8)


def nearest(detector: FaceDetector, picture: Pixels, frame: Box) -> Box | None:
    """Return the surest box about the middle of the frame; what is elsewhere is no face."""
    boxes = (face.box for face in detector.detect(picture))
    near = (box for box in boxes if max(map(abs, offsets(box, frame)[1:])) < 1 / 3)
    return next(near, None)


def offsets(box: Box, frame: Box) -> tuple[float, float, float]:
    """Return how the frame lies to a box: scale, across and down, in sides of the box."""
    across = frame.left + frame.width / 2 - box.left - box.width / 2
    down = frame.top + frame.height / 2 - box.top - box.height / 2
    return frame.width / box.width, across / box.width, down / box.width
