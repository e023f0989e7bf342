from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from edgefer_train.batches import batches, steps_per_epoch
from edgefer_train.dataset import Faces
from edgefer_train.recipe import Augment

STILL = Augment(flip=False, rotation=0, zoom=0, shift=0, brightness=0, contrast=0)


def faces(count: int) -> Faces:
    images = np.random.default_rng(1).integers(0, 256, (count, 48, 48), np.uint8)
    return Faces(images, np.zeros(count, np.int8), None)


def targets(count: int) -> dict[str, np.ndarray]:
    return {"fer2013": np.eye(count, dtype=np.float32)}


def test_an_epoch_shows_every_face_once_with_its_own_target() -> None:
    some = faces(12)
    seen = []
    for pictures, target in islice(batches(some, targets(12), STILL, 4, seed=1), 3):
        rows = target.numpy().argmax(1)
        seen += rows.tolist()
        shown = np.round(pictures.numpy()[..., 0] * 255)
        assert (shown == some.images[rows]).all()
    assert sorted(seen) == list(range(12))


@pytest.mark.parametrize("how", [STILL, Augment(erasing=0.5, shear=0.1)])
def test_a_stream_that_starts_late_equals_the_rest_of_one_that_did_not(how: Augment) -> None:
    whole = list(islice(batches(faces(12), targets(12), how, 4, seed=3), 6))
    late = list(islice(batches(faces(12), targets(12), how, 4, seed=3, first_step=4), 2))
    for (a, left), (b, right) in zip(whole[4:], late, strict=True):
        assert (a.numpy() == b.numpy()).all()
        assert (left.numpy() == right.numpy()).all()


def test_two_epochs_differ_in_order_and_in_augmentation() -> None:
    first, second = islice(batches(faces(4), targets(4), Augment(), 4, seed=3), 2)
    assert (first[0].numpy() != second[0].numpy()).any()


def test_augmented_pictures_stay_in_range_and_near_their_source() -> None:
    some = Faces(np.full((8, 48, 48), 200, np.uint8), np.zeros(8, np.int8), None)
    (pictures, _), *_ = islice(batches(some, targets(8), Augment(), 8, seed=1), 1)
    assert pictures.shape == (8, 48, 48, 1)
    assert 0 <= pictures.numpy().min() <= pictures.numpy().max() <= 1
    assert np.abs(pictures.numpy() - 200 / 255).max() < 0.11


def test_erasing_puts_a_grey_square_on_its_share_of_pictures() -> None:
    some = Faces(np.full((64, 48, 48), 255, np.uint8), np.zeros(64, np.int8), None)
    still = Augment(flip=False, rotation=0, zoom=0, shift=0, brightness=0, contrast=0, erasing=0.5)
    (pictures, _), *_ = islice(batches(some, targets(64), still, 64, seed=1), 1)
    holed = (pictures.numpy() == 0.5).any((1, 2, 3)).mean()
    assert 0.3 < holed < 0.7


def test_fewer_faces_than_a_batch_make_one_smaller_batch() -> None:
    assert steps_per_epoch(faces(3), 8) == 1
    (pictures, _), *_ = islice(batches(faces(3), targets(3), STILL, 8, seed=1), 1)
    assert len(pictures) == 3
