"""`demo:`, a live camera that is always there: it moves over a public-domain portrait."""

from __future__ import annotations

import importlib.util
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import CameraNotFound
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.system.clock import Clock
from edgefer_device.system.image_file import read_image

PACKAGE = "scikit-image"
"""Its data folder is all that is used."""

WIDTH, HEIGHT, RATE = 640, 480, 15
CENTRE = (224.0, 150.0)
"""About what the view moves in astronaut.png (512x512), pixels; the face is a little above."""
ZOOM, ZOOM_SWING = 2.0, 0.25
"""Pixels of the view to one of the portrait, and how far it swings about that."""
SWING = (40.0, 12.0)
"""How far the view swings across and down, pixels of the portrait; it never leaves it."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`demo:` has none of its own."""


class Portrait:
    """A slow camera move over one picture, 15 frames a second."""

    live = True

    def __init__(self, picture: Pixels, clock: Clock) -> None:
        self._picture, self._clock = picture, clock
        self._closed = threading.Event()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the view of each moment until `close`."""
        number = 0
        while not self._closed.is_set():
            now = self._clock()
            if due(now):
                yield Frame(view(self._picture, now), now, number)
            number += 1
            self._closed.wait((math.floor(now * RATE) + 1) / RATE - self._clock())

    def close(self) -> None:
        """End the frames; again is allowed."""
        self._closed.set()


def view(picture: Pixels, time: float) -> Pixels:
    """Return what the camera sees of a picture at a time in seconds, BGR (480, 640, 3).

    The periods share no divisor, so the face does not soon take the same way again.
    """
    zoom = ZOOM + ZOOM_SWING * math.sin(2 * math.pi * time / 11)
    x = CENTRE[0] + SWING[0] * math.sin(2 * math.pi * time / 7)
    y = CENTRE[1] + SWING[1] * math.sin(2 * math.pi * time / 5)
    move = np.array([[zoom, 0, WIDTH / 2 - zoom * x], [0, zoom, HEIGHT / 2 - zoom * y]])
    size = (WIDTH, HEIGHT)
    moved = cv2.warpAffine(picture, move, size)
    return np.asarray(moved, np.uint8)


def open_portrait(clock: Clock) -> Portrait:
    """Open the portrait that scikit-image carries; raise `CameraNotFound` without it."""
    return Portrait(read_image(find_portrait()), clock)


def find_portrait() -> Path:
    """Return the portrait's file; raise `CameraNotFound` where scikit-image is not installed."""
    # find_spec does not import the package, which would need scipy.
    spec = importlib.util.find_spec("skimage")
    folders = list(spec.submodule_search_locations or []) if spec else []
    paths = [Path(folder) / "data" / "astronaut.png" for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise CameraNotFound(
            f"demo: needs the portrait in scikit-image; run: pip install --no-deps {PACKAGE}"
        )
    return path
