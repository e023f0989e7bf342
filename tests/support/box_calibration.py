"""How a detector's boxes lie to FER2013's squares: where each `BoxCalibration` comes from.

On black: with the image's edge repeated, BlazeFace finds 62 % of the faces instead of 94 %, and its
boxes vary with their size.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer_device.faces.detector import BoxCalibration, FaceDetector

CANVAS = (640, 480)
"""Width and height of the scene that an image is put into, pixels."""


def middle(side: int) -> Box:
    """Return the box of an image in its scene."""
    return Box((CANVAS[0] - side) / 2, (CANVAS[1] - side) / 2, side, side)


def scene(image: Pixels, side: int) -> Pixels:
    """Return a grey image enlarged in the middle of black, BGR uint8 (480, 640, 3)."""
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    beside, above = (CANVAS[0] - side) // 2, (CANVAS[1] - side) // 2
    whole = cv2.copyMakeBorder(large, above, above, beside, beside, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.cvtColor(whole, cv2.COLOR_GRAY2BGR), np.uint8)


def nearest(detector: FaceDetector, image: Pixels, frame: Box) -> Box | None:
    """Return the most confident box near the middle of the frame; others are no face."""
    boxes = (face.box for face in detector.detect(image))
    near = (box for box in boxes if max(map(abs, offsets(box, frame)[1:])) < 1 / 3)
    return next(near, None)


def median(boxes: Iterable[Box | None], frame: Box) -> BoxCalibration:
    """Return the median offsets of boxes to the frame; without any, no offset."""
    rows = np.array([offsets(box, frame) for box in boxes if box is not None])
    return BoxCalibration(*(map(float, np.median(rows, axis=0)) if len(rows) else (1, 0, 0)))


def offsets(box: Box, frame: Box) -> tuple[float, float, float]:
    """Return the frame relative to a box: scale, across and down, in sides of the box."""
    across = frame.left + frame.width / 2 - box.left - box.width / 2
    down = frame.top + frame.height / 2 - box.top - box.height / 2
    return frame.width / box.width, across / box.width, down / box.width
