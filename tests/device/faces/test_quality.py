"""Faces that cannot be read are told apart from those that can, on real pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.messages import REASONS
from edgefer.preprocess import Pixels
from edgefer_device.faces.quality import QualitySettings, rejection_reason, sharpness

SETTINGS = QualitySettings()


@pytest.fixture(scope="module")
def images(data: Path) -> Pixels:
    """300 of FER2013's PublicTest pictures."""
    with np.load(data / "fer2013.npz") as arrays:
        public = arrays["images"][arrays["usage"] == 1]
    return np.asarray(public[:300], np.uint8)


def faults(crops: Pixels, side: float = 100.0) -> Counter[str | None]:
    found = Counter(rejection_reason(crop, side, 0.0, SETTINGS) for crop in crops)
    assert {*found} <= {None, *REASONS}
    return found


def test_fer2013s_own_pictures_can_be_read(images: Pixels) -> None:
    assert faults(images)[None] >= 296


@pytest.mark.parametrize(
    ("reason", "factor", "least"), [("dark", 0.1, 295), ("dark", 0.05, 299), ("bright", 4.0, 240)]
)
def test_too_dark_and_too_bright(images: Pixels, reason: str, factor: float, least: int) -> None:
    changed = np.clip(images * factor, 0, 255).astype(np.uint8)
    assert faults(changed)[reason] >= least


def test_blurred_out_of_focus(images: Pixels) -> None:
    blurred = np.asarray([cv2.GaussianBlur(crop, (0, 0), 1.8) for crop in images], np.uint8)
    assert faults(blurred)["blurred"] >= 280


@pytest.mark.parametrize("across", [True, False])
def test_blurred_by_motion_in_one_direction(images: Pixels, across: bool) -> None:
    kernel = np.full((1, 11), 1 / 11, np.float32)
    kernel = kernel if across else kernel.T
    moved = np.asarray([cv2.filter2D(crop, -1, kernel) for crop in images], np.uint8)
    assert faults(moved)["blurred"] >= 270


def test_sharpness_does_not_depend_on_the_light(images: Pixels) -> None:
    crop = images[7]
    darker = np.asarray(np.round(crop * 0.5), np.uint8)
    assert sharpness(darker) == pytest.approx(sharpness(crop), rel=0.05)
    assert sharpness(np.full((48, 48), 9, np.uint8)) == 0.0


def test_too_small_and_turned_away(images: Pixels) -> None:
    assert rejection_reason(images[0], 27.0, None, SETTINGS) == "small"
    assert rejection_reason(images[0], 28.0, None, SETTINGS) is None
    assert rejection_reason(images[0], 99.0, -0.45, SETTINGS) == "turned"
    assert rejection_reason(images[0], 99.0, 0.35, SETTINGS) is None


def test_each_limit_can_be_turned_off() -> None:
    off = QualitySettings(0, 0, 0, 0, 0)
    assert rejection_reason(np.zeros((48, 48), np.uint8), 1.0, 5.0, off) is None
    assert rejection_reason(np.full((48, 48), 255, np.uint8), 1.0, 5.0, off) is None
