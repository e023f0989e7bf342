"""The quality of a face crop: reasons for which it cannot be classified.

The limits stand where the accuracy of an earlier `small` on 1,000 PublicTest images
(65 %) has fallen by five to twenty points, and beyond all but a few of FER2013's own images
and every frame of the test clips; the table is in docs/daemon.md.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import msgspec
import numpy as np
from cv2.typing import MatLike
from msgspec import Meta

from edgefer.preprocess import Pixels

WHITE = 250
"""Grey level from which a pixel holds no more than that it was bright."""
FLAT = 30.0
"""Standard deviation of a face crop's grey levels from which it is read as it is; 3 % of FER2013's
faces have less. Below, stretching gains `small` 1 to 10 points in little light and against the
light, more than CLAHE and a gamma curve. `edgefer dev light` compares them."""
SECOND_DIFFERENCE = np.array([[1, -2, 1]], np.float32)


class QualitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[quality]` table: faces beyond these are `unknown`; 0 turns a limit off."""

    smallest: Annotated[float, Meta(ge=0, le=2000)] = 28.0
    """Side of the smallest face that is read, pixels. Shrunk to 28 the accuracy is 60 %, to 24
    57 %, to 20 52 %."""
    darkest: Annotated[float, Meta(ge=0, le=255)] = 20.0
    """Mean grey level of the darkest face that is read, 0..255. With a sensor's noise and stretched
    `small` is right in 61 % at a mean of 20 and in 55 % at 13, `tiny` in 35 and 27 %; FER2013's
    darkest two hundredth is at 41."""
    brightest: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Share of overexposed pixels from which a face is not read, 0..1. From half to six tenths
    of them the accuracy is 49 %, beyond that 37 %; no FER2013 image has more than 0.49."""
    blurriest: Annotated[float, Meta(ge=0, le=1)] = 0.012
    """Sharpness (`sharpness`) of the most blurred face that is read. A Gaussian of 1.5 pixels
    of the face crop leaves 0.006 and 44 %, a motion by 9 pixels 0.006 and 43 %; FER2013's two
    hundredth is at 0.044, the clips' least frame at 0.048."""
    turned: Annotated[float, Meta(ge=0, le=10)] = 0.4
    """Farthest that the nose stands from the middle of the eyes, in distances of the eyes.
    Beyond it the accuracy is 52 % (216 faces of 3,390), up to 0.05 it is 72 %; the clips' people
    stay under 0.18. Only detectors that find eyes and nose measure it, as `blazeface` does."""


def rejection_reason(
    crop: Pixels, side: float, turn: float | None, settings: QualitySettings
) -> str | None:
    """Return why a face cannot be read, one of `messages.REASONS`; None when it can.

    `crop` is what the model would see, uint8 (size, size); `side` the side of the face's
    box in the image, pixels; `turn` the detector's, if it has one.
    """
    if side < settings.smallest:
        return "small"
    if cv2.mean(crop)[0] < settings.darkest:
        return "dark"
    if settings.brightest and np.count_nonzero(crop >= WHITE) >= settings.brightest * crop.size:
        return "bright"
    if turn is not None and settings.turned and abs(turn) > settings.turned:
        return "turned"
    if settings.blurriest and sharpness(crop) < settings.blurriest:
        return "blurred"
    return None


def lightened(crop: Pixels) -> Pixels:
    """Return a face crop, uint8 (size, size), as it is read: one of little contrast `stretched`."""
    return crop if cv2.meanStdDev(crop)[1].item() >= FLAT else stretched(crop)


def stretched(crop: Pixels) -> Pixels:
    """Return a face crop whose grey levels, but for a hundredth at each end, fill the range."""
    end = crop.size // 100
    ordered = np.partition(crop, (end, crop.size - 1 - end), axis=None)
    low = int(ordered[end])
    span = max(1, int(ordered[-1 - end]) - low)
    above = np.clip(np.arange(256) - low, 0, span)
    # Rounded in whole numbers, for the phone page to do the same.
    table = ((510 * above + span) // (2 * span)).astype(np.uint8)
    return np.asarray(cv2.LUT(crop, table), np.uint8)


def sharpness(crop: Pixels) -> float:
    """Return how much of a face crop's variance is detail, in its more blurred direction.

    The variance of second differences along rows and along columns, the lesser of them by
    the variance of the grey levels: the variance of the Laplacian (Pech-Pacheco et al. 2000)
    without its faults, that contrast raises it and that motion blurs only one direction.
    """
    variance = _variance(crop)
    if variance == 0:
        return 0.0
    across = cv2.filter2D(crop, cv2.CV_16S, SECOND_DIFFERENCE)[:, 1:-1]
    down = cv2.filter2D(crop, cv2.CV_16S, SECOND_DIFFERENCE.T)[1:-1]
    return min(_variance(across), _variance(down)) / variance


def _variance(values: MatLike) -> float:
    return float(cv2.meanStdDev(values)[1].item()) ** 2
