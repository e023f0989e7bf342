from __future__ import annotations

from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
import tensorflow as tf

from edgefer_train.fitting import degrade as degradations
from edgefer_train.fitting.augment import Draw
from edgefer_train.fitting.degrade import degrade
from edgefer_train.recipe import Augment

NONE = Augment()
KINDS = {
    "gamma": 0.5,
    "occlusion": 1.0,
    "blur": 1.0,
    "low_resolution": 1.0,
    "noise": 1.0,
    "jpeg": 1.0,
}
"""Each kind as strong as it gets, so that no face stays as it is."""
ALL = msgspec.structs.replace(NONE, **KINDS)


def only(kind: str) -> Augment:
    return msgspec.structs.replace(NONE, **{kind: KINDS[kind]})


def draw(count: int, step: int = 1) -> Draw:
    places = tf.range(count, dtype=tf.int64)
    return Draw(tf.constant([1, step], tf.int64), count, places)


class Fixed(Draw):
    """Draws whose uniform numbers are the middle of their range, or a chosen number of it."""

    def __init__(self, count: int, chosen: dict[tuple[float, float], float] | None = None) -> None:
        super().__init__(tf.constant([1, 1], tf.int64), count, tf.range(count, dtype=tf.int64))
        self.chosen = chosen or {}

    def uniform(self, low: float, high: float) -> Any:
        value = self.chosen.get((low, high), (low + high) / 2)
        return tf.fill([self.size], np.float32(value))


def faces(count: int, side: int = 48) -> np.ndarray:
    """Smooth images (n, side, side, 1) in 0..1 with edges in them, as faces are."""
    rough = np.random.default_rng(1).random((count, 7, 7), np.float32)
    smooth = [cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in rough]
    for at, one in enumerate(smooth):
        cv2.circle(one, (10 + at % 28, 20), 6, 0.1, -1)
    return np.asarray(np.clip(np.stack(smooth), 0, 1)[..., np.newaxis], np.float32)


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_the_shape_and_the_range_are_kept(kind: str) -> None:
    images = faces(16)
    out = degrade(images, ALL if kind == "all" else only(kind), draw(16)).numpy()
    assert out.shape == images.shape
    assert out.dtype == np.float32
    assert -1e-6 <= out.min() <= out.max() <= 1 + 1e-6
    assert (np.abs(out - images).max((1, 2, 3)) > 1e-3).mean() > 0.9, "something happens"


def test_without_a_kind_nothing_happens() -> None:
    images = faces(4)
    assert degrade(images, NONE, draw(4)) is images


@pytest.mark.parametrize("kind", ["occlusion", "blur", "low_resolution", "noise", "jpeg"])
def test_a_face_that_no_draw_chooses_stays_as_it_is(kind: str) -> None:
    images = faces(4)
    seldom = msgspec.structs.replace(NONE, **{kind: 1e-6})
    assert degrade(images, seldom, draw(4)).numpy() == pytest.approx(images, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_draw_gives_the_same_and_another_step_another(kind: str) -> None:
    images = faces(8)
    one, again, other = (degrade(images, only(kind), draw(8, step)).numpy() for step in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_a_part_of_a_batch_is_degraded_as_in_the_whole() -> None:
    images = faces(8)
    whole = degrade(images, ALL, draw(8)).numpy()
    places = tf.range(4, 8, dtype=tf.int64)
    part = degrade(images[4:], ALL, Draw(tf.constant([1, 1], tf.int64), 8, places)).numpy()
    np.testing.assert_allclose(part, whole[4:], atol=1e-5)


@pytest.mark.parametrize("quality", [25, 50, 85])
def test_jpeg_is_what_the_codec_makes_of_it(quality: int) -> None:
    images = np.round(faces(6) * 255) / 255
    fixed = Fixed(6, {degradations.QUALITY: quality, (0, 1): 0.5})
    out = degrade(images.astype(np.float32), only("jpeg"), fixed).numpy() * 255
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    for got, image in zip(out[..., 0], images[..., 0], strict=True):
        content = cv2.imencode(".jpg", np.uint8(np.round(image * 255)), options)[1]
        expected = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), float)
        difference = np.abs(got - expected)
        assert difference.mean() < 0.75
        assert np.quantile(difference, 0.99) < 6


@pytest.mark.parametrize("size", [16, 30, 40])
def test_low_resolution_is_area_down_and_linear_up(size: int) -> None:
    images = faces(4)
    share = {degradations.RESOLUTION: (size + 0.5) / 48, (0, 1): 0.5}
    out = degrade(images, only("low_resolution"), Fixed(4, share)).numpy()
    for got, image in zip(out[..., 0], images[..., 0], strict=True):
        small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        expected = cv2.resize(small, (48, 48), interpolation=cv2.INTER_LINEAR)
        assert np.abs(got - expected).max() < 2 / 255


def test_noise_has_the_standard_deviation_that_was_drawn() -> None:
    grey = np.full((32, 48, 48, 1), 0.5, np.float32)
    fixed = Fixed(32, {degradations.NOISE: 8.0, (0, 1): 0.5})
    out = degrade(grey, only("noise"), fixed).numpy() * 255
    assert out.std() == pytest.approx(8.0, rel=0.02)
    assert out.mean() == pytest.approx(127.5, abs=0.2)


def test_a_blur_keeps_the_mean_and_loses_detail() -> None:
    grey = np.zeros((1, 48, 48, 1), np.float32)
    grey[:, 24, 24] = 1.0
    fixed = Fixed(1, {degradations.DEFOCUS: 1.0, (0, 1): 0.25})
    out = degrade(grey, only("blur"), fixed).numpy()[0, ..., 0]
    expected = cv2.GaussianBlur(grey[0, ..., 0], (15, 15), 1.0)
    assert np.abs(out - expected).max() < 2e-3
    assert out.sum() == pytest.approx(1.0, abs=1e-3)


def test_gamma_is_between_its_two_ends() -> None:
    grey = np.full((64, 8, 8, 1), 0.5, np.float32)
    out = degrade(grey, msgspec.structs.replace(NONE, gamma=1.0), draw(64)).numpy()
    assert 0.5**2 - 1e-6 <= out.min() < 0.4
    assert 0.6 < out.max() <= 0.5**0.5 + 1e-6


def test_occlusion_covers_one_half() -> None:
    images = faces(32)
    changed = degrade(images, only("occlusion"), draw(32)).numpy() != images
    assert changed.mean((1, 2, 3)) == pytest.approx(np.full(32, 0.5), abs=0.05)
