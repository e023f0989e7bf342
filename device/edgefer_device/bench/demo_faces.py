"""Faces for a measurement where there is no dataset: those of the `demo:` camera's portrait."""

from __future__ import annotations

import itertools
from contextlib import closing

import numpy as np

from edgefer.errors import ImageError
from edgefer.preprocess import Pixels, Preprocess
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.opening import open_detector

STEP = 0.35
"""Seconds that the camera's clock goes on each time it is read, so that nobody waits for it."""


def portrait_chips(count: int, preprocess: Preprocess) -> Pixels:
    """Return face crops uint8 (up to `count`, size, size): one face, seen from ever another place.

    Raises `CameraNotFound` without the portrait and `ImageError` where no face is found.
    """
    detector, ticks = open_detector(), itertools.count()
    crops = []
    with closing(open_camera("demo:", lambda: next(ticks) * STEP)) as camera:
        for frame in itertools.islice(camera.frames(), count):
            found = detector.detect(frame.picture)[:1]
            crops += [preprocess.chip(frame.picture, face.box) for face in found]
    if not crops:
        raise ImageError("no face was found in the demo portrait; name a dataset with --data")
    return np.stack(crops)
