from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from edgefer.errors import DatasetError
from edgefer_train.fitting.balance import (
    Balance,
    faces_per_epoch,
    log_prior,
    require_every_label,
    sample_order,
    shuffled,
    weights_of,
)

LABELS = np.repeat([0, 1, 2], [20, 7, 3]).astype(np.int8)
NAMES = ("happy", "fear", "disgust")


def rows_of(balance: Balance, size: int, steps: range, seed: int = 1) -> list[list[int]]:
    """The rows of each step's batch."""
    order = sample_order(LABELS, balance, size, seed)
    at = tf.range(size, dtype=tf.int64)
    return [order(tf.constant(step, tf.int64), at).numpy().tolist() for step in steps]


def epoch_of(balance: Balance, epoch: int) -> list[int]:
    size = faces_per_epoch(LABELS, balance)
    (rows,) = rows_of(balance, size, range(epoch, epoch + 1))
    return rows


def test_without_balancing_an_epoch_shows_each_face_once_and_the_next_in_another_order() -> None:
    first, second = epoch_of("none", 0), epoch_of("none", 1)
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second


def test_oversampling_repeats_the_faces_of_rare_labels_evenly() -> None:
    rows = epoch_of("oversample", 0)
    assert np.bincount(LABELS[rows]).tolist() == [20, 20, 20]
    seen = Counter(rows)
    assert {seen[row] for row in range(20)} == {1}
    assert {seen[row] for row in range(20, 27)} == {2, 3}
    assert {seen[row] for row in range(27, 30)} == {6, 7}


def test_both_bring_each_label_to_the_mean() -> None:
    rows = epoch_of("both", 0)
    assert np.bincount(LABELS[rows]).tolist() == [10, 10, 10]
    assert len(set(rows)) == 10 + 7 + 3, "the frequent ones once, the rare ones all"


def test_the_prior_is_the_logarithm_of_each_labels_share() -> None:
    found = np.exp(log_prior(LABELS, 4))
    np.testing.assert_allclose(found, [20 / 30, 7 / 30, 3 / 30, 1 / 30], rtol=1e-6)


def test_undersampling_shows_as_many_of_each_label_and_others_in_the_next_epoch() -> None:
    epochs = [epoch_of("undersample", epoch) for epoch in range(40)]
    for rows in epochs:
        assert np.bincount(LABELS[rows]).tolist() == [3, 3, 3]
        assert len(set(rows)) == 9
    seen = Counter(row for rows in epochs for row in rows)
    assert all(seen[row] == 40 for row in range(27, 30))
    assert all(1 <= seen[row] <= 15 for row in range(20)), "each face is drawn, none too often"


def test_each_balanced_batch_holds_the_labels_equally_often_and_all_faces_come_by() -> None:
    batches = rows_of("batches", 8, range(60))
    for rows in batches:
        assert set(np.bincount(LABELS[rows], minlength=3)) <= {2, 3}
    seen = Counter(row for rows in batches for row in rows)
    for label in range(3):
        visits = [seen[row] for row in np.flatnonzero(label == LABELS).tolist()]
        assert max(visits) - min(visits) <= 1, "shuffled passes visit all evenly"


@pytest.mark.parametrize("balance", ["none", "oversample", "undersample", "batches"])
def test_a_part_of_a_batch_is_drawn_as_within_the_whole(balance: Balance) -> None:
    order, step = sample_order(LABELS, balance, 8, seed=3), tf.constant(17, tf.int64)
    whole = order(step, tf.range(8, dtype=tf.int64)).numpy()
    part = order(step, tf.range(4, 8, dtype=tf.int64)).numpy()
    assert part.tolist() == whole[4:].tolist()


@pytest.mark.parametrize("balance", ["none", "oversample", "undersample", "batches"])
def test_another_seed_is_another_order(balance: Balance) -> None:
    assert rows_of(balance, 8, range(2), seed=1) != rows_of(balance, 8, range(2), seed=2)


def test_class_weights_make_every_label_count_the_same() -> None:
    weights = weights_of(LABELS, 3, "class_weights")
    sums = [weights[label == LABELS].sum() for label in range(3)]
    assert sums == pytest.approx([10, 10, 10])
    assert weights_of(LABELS, 3, "none").tolist() == [1] * 30


def test_a_label_without_faces_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match="no image of fear, contempt, and balance = 'batches'"):
        require_every_label(np.array([0, 2]), ("happy", "fear", "sad", "contempt"), "batches")
    require_every_label(np.array([0, 2]), ("happy", "fear", "sad"), "none")


@pytest.mark.parametrize("count", [3, 60])
def test_orders_of_keys_that_follow_each_other_have_nothing_in_common(count: int) -> None:
    keys, place = tf.range(6000, dtype=tf.int64), tf.zeros(6000, tf.int64)
    first = shuffled(place, count, 1, keys).numpy()
    expected = 6000 / count
    chi_square = ((np.bincount(first, minlength=count) - expected) ** 2 / expected).sum()
    assert chi_square < 3 * count, "each place is as likely"


def test_the_orders_of_two_epochs_do_not_correlate() -> None:
    # By index_shuffle's default rounds and unhashed keys they do, by 0.44.
    at = tf.range(28_709, dtype=tf.int64)
    one, two = (shuffled(at, 28_709, 1, epoch).numpy() for epoch in (0, 1))
    assert len(set(one.tolist())) == 28_709
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03
