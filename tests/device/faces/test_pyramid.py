"""A halved picture shows the same, and where it would not, it is left alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgefer_device.faces.motion import halved


@pytest.mark.parametrize(
    ("size", "least", "expected"),
    [
        ((360, 640), 192, (180, 320)),
        ((1080, 1920), 192, (135, 240)),
        ((480, 640), 160, (120, 160)),
        ((480, 640), 640, (480, 640)),
        ((481, 640), 100, (481, 640)),
    ],
)
def test_it_is_halved_while_enough_is_left_and_no_pixel_is_lost(
    size: tuple[int, int], least: int, expected: tuple[int, int]
) -> None:
    assert halved(np.zeros((*size, 3), np.uint8), least).shape == (*expected, 3)


def test_each_pixel_is_the_mean_of_those_it_stands_for() -> None:
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    whole = cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(halved(image, 80).astype(int) - whole).max() <= 1
