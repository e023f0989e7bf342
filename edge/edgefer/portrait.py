"""The demo portrait: a public-domain photograph of one face, and views of it over time."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import CameraNotFound
from edgefer.messages import Box
from edgefer.preprocess import Pixels, Preprocess

PACKAGE = "scikit-image"
"""Its data folder is all that is used."""

WIDTH, HEIGHT = 640, 480
"""Of a view, pixels."""
CENTRE = (224.0, 150.0)
"""About what the view moves in astronaut.png (512x512), pixels; the face is a little above."""
ZOOM, ZOOM_SWING = 2.0, 0.25
"""Pixels of the view to one of the portrait, and how far it swings about that."""
SWING = (40.0, 12.0)
"""How far the view swings across and down, pixels of the portrait; it never leaves it."""
FACE = Box(165.0, 57.0, 120.0, 120.0)
"""The face in astronaut.png, median of BlazeFace's boxes over 60 views."""
STEP = 0.35
"""Seconds between the views of `portrait_crops`."""


def view(portrait: Pixels, time: float) -> Pixels:
    """Return the view of the portrait at a time in seconds, BGR (480, 640, 3).

    The periods share no divisor, so the face does not soon take the same way again.
    """
    zoom, left, top = _place(time)
    move = np.array([[zoom, 0, -zoom * left], [0, zoom, -zoom * top]])
    return np.asarray(cv2.warpAffine(portrait, move, (WIDTH, HEIGHT)), np.uint8)


def portrait_crops(count: int, preprocess: Preprocess) -> Pixels:
    """Return face crops uint8 (count, size, size) of one view after the other.

    Raises `CameraNotFound` without the portrait.
    """
    portrait, crops = read_portrait(), []
    for time in STEP * np.arange(count):
        zoom, left, top = _place(time)
        box = Box(zoom * (FACE.left - left), zoom * (FACE.top - top), *(zoom * FACE.width,) * 2)
        crops.append(preprocess.crop(view(portrait, time), box))
    return np.stack(crops)


def read_portrait() -> Pixels:
    """Read the portrait, BGR (512, 512, 3); raise `CameraNotFound` without it."""
    return np.asarray(cv2.imread(str(find_portrait()), cv2.IMREAD_COLOR), np.uint8)


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


def _place(time: float) -> tuple[float, float, float]:
    """Return a view's zoom, and its left and top edge in pixels of the portrait."""
    zoom = ZOOM + ZOOM_SWING * math.sin(2 * math.pi * time / 11)
    x = CENTRE[0] + SWING[0] * math.sin(2 * math.pi * time / 7)
    y = CENTRE[1] + SWING[1] * math.sin(2 * math.pi * time / 5)
    return zoom, x - WIDTH / 2 / zoom, y - HEIGHT / 2 / zoom
