from __future__ import annotations

import numpy as np
import pytest

from edgefer.errors import ImageError
from edgefer.messages import Box
from edgefer.preprocess import PIXEL, Preprocess, to_grey


def gradient(height: int, width: int) -> np.ndarray:
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


def test_a_chip_is_the_box_made_square() -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[50:146, 100:196] = 200
    crop = Preprocess().crop(picture, Box(100, 50, 96, 96))
    assert crop.shape == (48, 48)
    assert (crop == 200).all()


def test_the_margin_widens_the_square_about_its_centre() -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[52:148, 102:198] = 200
    crop = Preprocess(margin=0.5).crop(picture, Box(102, 52, 96, 96))
    assert crop[24, 24] == 200
    assert crop[0, 0] == 0
    assert 0.2 < (crop > 100).mean() < 0.3


def test_what_lies_outside_the_picture_repeats_its_edge() -> None:
    crop = Preprocess().crop(np.full((60, 60), 90, np.uint8), Box(-20, -20, 60, 60))
    assert (crop == 90).all()


@pytest.mark.parametrize("box", [Box(500, 10, 20, 20), Box(10, 10, 0, 0)])
def test_a_box_that_holds_nothing_is_refused(box: Box) -> None:
    with pytest.raises(ImageError, match="face box"):
        Preprocess().crop(np.zeros((60, 60), np.uint8), box)


def test_int8_is_the_grey_level_less_128() -> None:
    crops = np.arange(48 * 48, dtype=np.uint16).astype(np.uint8).reshape(1, 48, 48)
    tensor = Preprocess().to_int8(crops, PIXEL)
    assert tensor.dtype == np.int8
    assert (tensor[..., 0].astype(int) == crops.astype(int) - 128).all()


def test_float_and_int8_tensors_say_the_same() -> None:
    crops = np.random.default_rng(1).integers(0, 256, (4, 48, 48), np.uint8)
    as_float = Preprocess().to_float(crops)
    assert np.abs(PIXEL.dequantize(Preprocess().to_int8(crops, PIXEL)) - as_float).max() < 1e-6


def test_a_picture_shrinks_by_areas() -> None:
    assert (
        np.abs(Preprocess().resize(gradient(480, 480))[0] - gradient(1, 48)[0].astype(int)).max()
        <= 5
    )


@pytest.mark.parametrize(
    "picture",
    [np.zeros((48, 48), np.float32), np.zeros((48, 48, 4), np.uint8), np.zeros(48, np.uint8)],
)
def test_a_picture_of_another_form_is_refused_with_its_form(picture: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"must be .*got"):
        to_grey(picture)


@pytest.mark.parametrize("box", [Box(30, 20, 70, 70), Box(-20, 150, 90, 90)])
def test_a_face_out_of_a_colour_picture_is_that_out_of_the_grey_one(box: Box) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (200, 300, 3), np.uint8)
    assert (Preprocess().crop(picture, box) == Preprocess().crop(to_grey(picture), box)).all()
