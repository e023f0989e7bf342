from __future__ import annotations

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from edgefer_train.fitting.augment import Draw, augment, mixup
from edgefer_train.recipe import Augment

STILL = Augment(flip=False, rotation=0, zoom=0, shift=0, brightness=0, contrast=0)
ALL = Augment(rotation=20, zoom=0.2, shear=0.2, brightness=0.2, contrast=0.3, erasing=0.5)


def draw(size: int, at: range | None = None, step: int = 5) -> Draw:
    seed = tf.constant([1, step], tf.int64)
    return Draw(seed, size, tf.constant(list(at or range(size)), tf.int64))


def noise(count: int, side: int = 48) -> np.ndarray:
    return np.random.default_rng(1).random((count, side, side, 1), np.float32)


def test_a_part_of_a_batch_is_changed_as_within_the_whole() -> None:
    images = noise(8)
    whole = augment(images, ALL, draw(8), 40).numpy()
    part = augment(images[4:], ALL, draw(8, range(4, 8)), 40).numpy()
    assert (part == whole[4:]).all()


def test_another_step_changes_the_same_images_differently() -> None:
    images = noise(4)
    one, two = (augment(images, ALL, draw(4, step=step), 48).numpy() for step in (1, 2))
    assert (one != two).any()


def test_what_is_not_asked_for_leaves_the_images_alone() -> None:
    images = noise(4)
    assert (augment(images, STILL, draw(4), 48).numpy() == images).all()


@pytest.mark.parametrize(("source", "side"), [(96, 48), (48, 96), (60, 48)])
def test_images_of_any_side_come_out_at_the_side_wanted(source: int, side: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, source, dtype=np.float32)[:, None], (source, source))
    out = augment(ramp[None, :, :, None], STILL, draw(1), side).numpy()[0, :, :, 0]
    assert out.shape == (side, side)
    expected = (np.arange(side) + 0.5) / side
    assert np.abs(out[2:-2, side // 2] - expected[2:-2]).max() < 0.02, "no shift, no crop"


@pytest.mark.parametrize("name", ["rotation", "zoom", "shift", "shear", "brightness", "contrast"])
def test_each_kind_of_change_changes_images(name: str) -> None:
    size = {"rotation": 10.0, "shift": 4.0}.get(name, 0.2)
    how = msgspec.structs.replace(STILL, **{name: size})
    images = noise(4)
    out = augment(images, how, draw(4), 48).numpy()
    assert np.abs(out - images).mean() > 0.01
    assert out.min() >= 0
    assert out.max() <= 1


def test_flips_mirror_about_half_of_the_images() -> None:
    images = noise(64)
    out = augment(images, msgspec.structs.replace(STILL, flip=True), draw(64), 48).numpy()
    mirrored = [np.allclose(a, b[:, ::-1], atol=1e-5) for a, b in zip(out, images, strict=True)]
    as_they_were = [np.allclose(a, b, atol=1e-5) for a, b in zip(out, images, strict=True)]
    assert sum(mirrored) + sum(as_they_were) == 64
    assert 20 < sum(mirrored) < 44


def test_mixup_blends_neighbours_and_all_that_belongs_to_them_by_one_share() -> None:
    images, targets = noise(6), np.eye(6, dtype=np.float32)
    weights = np.arange(6, dtype=np.float32)
    mixed, targets_mixed, weight = (
        value.numpy() for value in mixup([images, targets, weights], 0.4, draw(6))
    )
    for row, other in enumerate([1, 0, 3, 2, 5, 4]):
        share = targets_mixed[row, row]
        assert targets_mixed[row, other] == pytest.approx(1 - share)
        expected = share * images[row] + (1 - share) * images[other]
        assert mixed[row] == pytest.approx(expected, abs=1e-6)
        assert weight[row] == pytest.approx(share * row + (1 - share) * other, abs=1e-5)


def test_the_odd_one_of_a_batch_stays_as_it_is() -> None:
    (targets_mixed,) = mixup([np.eye(3, dtype=np.float32)], 1.0, draw(3))
    assert targets_mixed.numpy()[2] == pytest.approx([0, 0, 1])


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    shares = draw(20_000).beta(alpha).numpy()
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.005)
    assert np.isfinite(shares).all()
