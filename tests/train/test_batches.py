from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgefer.errors import DatasetError, SettingsError
from edgefer.preprocess import Preprocess
from edgefer_train.data.dataset import Faces
from edgefer_train.fitting.balance import Balance
from edgefer_train.fitting.batches import Shard, batches, steps_per_epoch, unaugmented
from edgefer_train.recipe import Augment

STILL = Augment(flip=False, rotation=0, zoom=0, shift=0, brightness=0, contrast=0)


def faces(count: int, side: int = 48, labels: int = 1) -> Faces:
    images = np.random.default_rng(1).integers(0, 256, (count, side, side), np.uint8)
    return Faces(images, (np.arange(count) % labels).astype(np.int8), None)


def targets(count: int) -> dict[str, np.ndarray]:
    return {"fer2013": np.eye(count, dtype=np.float32)}


def test_an_epoch_shows_every_face_once_with_its_own_target() -> None:
    some = faces(12)
    seen = []
    for images, target in islice(batches(some, targets(12), STILL, 4, seed=1), 3):
        rows = target.numpy().argmax(1)
        seen += rows.tolist()
        shown = np.round(images.numpy()[..., 0] * 255)
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


def test_augmented_images_stay_in_range_and_near_their_source() -> None:
    some = Faces(np.full((8, 48, 48), 200, np.uint8), np.zeros(8, np.int8), None)
    (images, _), *_ = islice(batches(some, targets(8), Augment(), 8, seed=1), 1)
    assert images.shape == (8, 48, 48, 1)
    assert 0 <= images.numpy().min() <= images.numpy().max() <= 1
    assert np.abs(images.numpy() - 200 / 255).max() < 0.11


def test_erasing_puts_a_grey_square_on_its_share_of_images() -> None:
    some = Faces(np.full((64, 48, 48), 255, np.uint8), np.zeros(64, np.int8), None)
    still = Augment(flip=False, rotation=0, zoom=0, shift=0, brightness=0, contrast=0, erasing=0.5)
    (images, _), *_ = islice(batches(some, targets(64), still, 64, seed=1), 1)
    holed = (images.numpy() == 0.5).any((1, 2, 3)).mean()
    assert 0.3 < holed < 0.7


def test_fewer_faces_than_a_batch_make_one_smaller_batch() -> None:
    assert steps_per_epoch(faces(3), 8) == 1
    (images, _), *_ = islice(batches(faces(3), targets(3), STILL, 8, seed=1), 1)
    assert len(images) == 3


MIXED = Augment(erasing=0.5, shear=0.1, mixup=0.3)


@pytest.mark.parametrize("balance", ["oversample", "undersample", "class_weights", "batches"])
def test_a_balanced_stream_that_starts_late_equals_the_rest(balance: Balance) -> None:
    some, heads = faces(13, labels=3), {"one": np.eye(3, dtype=np.float32)[np.arange(13) % 3]}
    whole = list(islice(batches(some, heads, MIXED, 4, 3, balance=balance), 6))
    late = list(islice(batches(some, heads, MIXED, 4, 3, first_step=4, balance=balance), 2))
    for before, after in zip(whole[4:], late, strict=True):
        assert len(before) == len(after) == (3 if balance == "class_weights" else 2)
        for a, b in zip(before, after, strict=True):
            assert (a.numpy() == b.numpy()).all()


def test_an_epoch_is_as_long_as_balancing_makes_it() -> None:
    some = Faces(faces(30).images, np.repeat([0, 1, 2], [20, 7, 3]).astype(np.int8), None)
    lengths = {"none": 7, "class_weights": 7, "batches": 7, "oversample": 15, "undersample": 2}
    assert {name: steps_per_epoch(some, 4, name) for name in lengths} == lengths  # type: ignore[arg-type]  # the names of a Literal
    assert steps_per_epoch(some, 4, "oversample", epoch_share=0.5) == 7
    assert steps_per_epoch(some, 4, epoch_share=0.01) == 1


def test_a_label_without_faces_cannot_be_balanced() -> None:
    heads = {"one": np.eye(3, dtype=np.float32)[np.arange(12) % 2]}
    names = ("happy", "sad", "disgust")
    with pytest.raises(DatasetError, match="no image of disgust"):
        batches(faces(12, labels=2), heads, STILL, 4, 1, balance="oversample", labels=names)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_the_shares_of_two_workers_make_up_the_whole_batch(replicas: int) -> None:
    some, heads, of = faces(40), targets(40), 2 * replicas
    whole = list(islice(batches(some, heads, MIXED, 16, 3, first_step=5), 2))
    for worker in range(2):
        share = Shard(worker * replicas, replicas, of)
        mine = batches(some, heads, MIXED, 16, 3, first_step=5, shard=share)
        for at, (images, target) in enumerate(islice(mine, 2 * replicas)):
            start = (worker * replicas + at % replicas) * 16 // of
            for mine_of, whole_of in zip((images, target), whole[at // replicas], strict=True):
                expected = whole_of.numpy()[start : start + 16 // of]
                assert mine_of.numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("size", "how", "unit"), [(9, STILL, 2), (6, MIXED, 4)])
def test_a_batch_that_cannot_be_shared_is_refused(size: int, how: Augment, unit: int) -> None:
    with pytest.raises(SettingsError, match=f"cannot be shared by 2 .* a multiple of {unit}$"):
        batches(faces(12), targets(12), how, size, 1, shard=Shard(0, 1, 2))


def test_a_teacher_sees_the_images_as_they_are_learned_and_sets_the_targets() -> None:
    def teach(images: Any, target: dict[str, Any]) -> dict[str, Any]:
        assert images.shape == (4, 40, 40, 1)
        return {name: values * 0 + images[0, 0, 0, 0] for name, values in target.items()}

    taught = batches(faces(12), targets(12), MIXED, 4, 1, side=40, teach=teach)
    (images, target), *_ = islice(taught, 1)
    assert (target.numpy() == images.numpy()[0, 0, 0, 0]).all()


def test_class_weights_reach_the_loss_of_the_first_head_alone() -> None:
    some = Faces(faces(16).images, np.repeat([0, 1], [12, 4]).astype(np.int8), None)
    heads = {name: np.eye(2, dtype=np.float32)[some.labels] for name in ("first", "second")}
    image = keras.layers.Input((48, 48, 1))
    flat = keras.layers.Flatten()(image)
    # Zeros, so that each face's loss is ln 2.
    outputs = {n: keras.layers.Dense(2, kernel_initializer="zeros", name=n)(flat) for n in heads}
    model = keras.Model(image, outputs)
    model.compile(
        keras.optimizers.SGD(0.0), keras.losses.CategoricalCrossentropy(True), run_eagerly=True
    )
    data = batches(some, heads, STILL, 4, 1, balance="class_weights")
    _, _, weights = next(iter(data))
    assert set(np.round(weights["first"].numpy(), 4)) <= {np.float32(0.6667), np.float32(2)}
    seen = model.fit(data.take(1), verbose=0).history
    mean = float(weights["first"].numpy().mean())
    assert seen["first_loss"][0] == pytest.approx(mean * np.log(2), rel=1e-5)
    assert seen["second_loss"][0] == pytest.approx(np.log(2), rel=1e-5)


def test_faces_of_another_side_are_validated_as_a_device_resizes_them() -> None:
    some = faces(3, side=96)
    (images, _), *_ = unaugmented(some, targets(3), side=48)
    expected = np.stack([Preprocess(size=48).resize(image) for image in some.images])
    assert (images.numpy() == Preprocess(size=48).to_float(expected)).all()
    (as_they_are, _), *_ = unaugmented(some, targets(3))
    assert as_they_are.shape == (3, 96, 96, 1)
