from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.errors import DatasetError
from edgefer.labels import FER2013
from edgefer_train.data.dataset import Usage
from edgefer_train.data.near_duplicates import digests
from edgefer_train.data.sources import load
from edgefer_train.data.splits import held_out, stratified_split
from support.slices import write_slice

NAMES = ("happy", "sad")


def faces(count: int) -> tuple[list[bytes], np.ndarray]:
    """Digests of different images, two thirds of them of the first label."""
    return [number.to_bytes(16, "big") for number in range(count)], np.arange(count) % 3 // 2


def test_each_label_is_shared_out_72_8_20() -> None:
    keys, labels = faces(3000)
    usage = stratified_split(keys, labels, NAMES)
    for label in (0, 1):
        shares = np.bincount(usage[labels == label]) / (labels == label).sum()
        assert shares.tolist() == pytest.approx([0.72, 0.08, 0.20])


def test_the_draw_never_changes_and_does_not_depend_on_the_order() -> None:
    keys, labels = faces(12)
    usage = stratified_split(keys, labels, NAMES)
    # Another draw would void all that was measured on this one.
    assert usage.tolist() == [0, 0, 0, 2, 2, 2, 1, 0, 1, 0, 0, 0]
    back = stratified_split(keys[::-1], labels[::-1], NAMES)[::-1]
    assert back.tolist() == usage.tolist()


def test_identical_images_come_into_one_part_whatever_their_labels() -> None:
    keys, labels = faces(900)
    twice, both = keys + keys[::2], np.concatenate([labels, 1 - labels[::2]])
    usage = stratified_split(twice, both, NAMES)
    assert (usage[:900:2] == usage[900:]).all()
    assert set(usage) == set(Usage)


@pytest.mark.parametrize("copies", [1, 40])
def test_three_different_images_of_a_label_are_one_for_each_part(copies: int) -> None:
    keys = [b"a", b"b", b"c"] * copies
    usage = stratified_split(keys, np.zeros(len(keys), int), NAMES)
    assert sorted(set(usage)) == [0, 1, 2]


def test_fewer_than_three_different_images_are_refused() -> None:
    with pytest.raises(DatasetError, match="sad has only 2 different images"):
        stratified_split([b"a", b"b", b"c", b"d", b"e", b"e"], np.array([0, 0, 0, 1, 1, 1]), NAMES)


def test_a_tenth_of_training_is_held_out_only_where_publictest_is_missing() -> None:
    usage = np.array([0] * 20 + [2], np.int8)
    assert np.flatnonzero(held_out(usage) == Usage.PublicTest).tolist() == [0, 10]
    complete = np.array([0, 1, 2], np.int8)
    assert held_out(complete) is complete


def test_real_faces_are_drawn_alike_from_any_form_and_at_any_side(
    data: Path, tmp_path: Path
) -> None:
    npz = write_slice(data, tmp_path / "slice.npz", 300, 80, 80)
    first = load(npz, split="72/8/20")
    part = dict(zip(digests(first.faces.images), first.usage.tolist(), strict=True))
    for row, (image, label) in enumerate(zip(first.faces.images, first.faces.labels, strict=True)):
        folder = tmp_path / "own" / FER2013[label]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{row}.png"), image)
    own = load(tmp_path / "own", split="72/8/20")
    assert [part[digest] for digest in digests(own.faces.images)] == own.usage.tolist()
    large = load(npz, split="72/8/20", side=64)
    assert large.usage.tolist() == first.usage.tolist()
    assert len({first.fingerprint, large.fingerprint, load(npz).fingerprint}) == 3
