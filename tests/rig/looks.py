"""What is on a screen of the rig."""

from __future__ import annotations

import cv2
import numpy as np


def is_written_on(picture: bytes) -> bool:
    """Whether a PNG is black, with something bright on it."""
    grey = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    screen = np.asarray(grey, int)
    return bool(np.median(screen) == 0 and np.mean(screen > 150) > 0.002)


def shows_a_mood(picture: bytes) -> bool:
    """Whether a PNG is black, with something bright in the gold that the page has for `happy`."""
    screen = np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), int)
    blue, red = screen[..., 0], screen[..., 2]
    return bool(np.median(screen) == 0 and np.mean((red > 128) & (red > blue + 40)) > 0.01)
