"""Order and weights of the faces in batches: pure functions of seed and step.

All of it runs in the graph, so that a resumed fit, and each worker of several, sees
the same faces as one that was never stopped and never shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer_train.architectures import Tensor

Balance = Literal[
    "none", "oversample", "undersample", "both", "class_weights", "batches", "logit_adjustment"
]
Labels = NDArray[np.integer[Any]]
"""(N,) indices into the label set."""


SampleOrder = Callable[[Tensor, Tensor], Tensor]
"""From a step and places (n,) of its batch to the rows (n,) of the faces there."""


def faces_per_epoch(labels: Labels, balance: Balance) -> int:
    """Return how many faces an epoch shows, before it is cut into whole batches."""
    counts = np.unique(labels, return_counts=True)[1]
    if balance == "oversample":
        return int(len(counts) * counts.max())
    if balance == "undersample":
        return int(len(counts) * counts.min())
    if balance == "both":
        return int(len(counts) * round(counts.mean()))
    return len(labels)


def sample_order(labels: Labels, balance: Balance, size: int, seed: int) -> SampleOrder:
    """Return the order of the faces for batches of `size`; every label must have a face.

    Unbalanced, each face comes once an epoch. With over- and undersampling every label is equally
    often in an epoch, with `batches` in each batch, within one; the faces of a label come in
    shuffled passes, so that each is shown as often, and others in another epoch.
    """
    total = faces_per_epoch(labels, balance)
    steps = max(1, total // size)
    rows = np.argsort(labels, kind="stable").astype(np.int64)
    counts = np.bincount(labels).astype(np.int64)

    def shuffled_epoch(step: Tensor, at: Tensor) -> Tensor:
        return shuffled(step % steps * size + at, total, seed, step // steps)

    def by_label(visit: Tensor, epoch: Tensor) -> Tensor:
        """The row of a visit since `epoch` began: the labels by turns, the faces of each."""
        label, visit = visit % len(counts), visit // len(counts)
        count, start = tf.gather(counts, label), tf.gather(np.cumsum(counts) - counts, label)
        place = shuffled(visit % count, count, seed, 1 + epoch, 1 + label, visit // count)
        return tf.gather(rows, start + place)

    def balanced_epoch(step: Tensor, at: Tensor) -> Tensor:
        return by_label(shuffled_epoch(step, at), step // steps)

    def balanced_batch(step: Tensor, at: Tensor) -> Tensor:
        # Shuffled, lest neighbours in the batch, which mixup blends, be always the same pair.
        return by_label(step * size + shuffled(at, size, seed, step), step * 0)

    if balance == "batches":
        return balanced_batch
    resampled = balance in ("oversample", "undersample", "both")
    return balanced_epoch if resampled else shuffled_epoch


def weights_of(labels: Labels, count: int, balance: Balance) -> NDArray[np.float32]:
    """Return a weight for each face: N / (labels * faces of its label) as class weights.

    Their mean over the faces is 1, so the rate need not change. Source: King & Zeng 2001,
    "Logistic Regression in Rare Events Data", as scikit-learn's "balanced" has it.
    """
    if balance != "class_weights":
        return np.ones(len(labels), np.float32)
    sizes = np.bincount(labels, minlength=count)
    return np.asarray(len(labels) / (count * sizes[labels]), np.float32)


def log_prior(labels: Labels, count: int) -> NDArray[np.float32]:
    """Return the logarithm of each label's share (count,) of the faces."""
    sizes = np.bincount(labels, minlength=count)
    return np.asarray(np.log(np.maximum(sizes, 1) / len(labels)), np.float32)


def require_every_label(labels: Labels, names: Sequence[str], balance: Balance) -> None:
    """Raise `DatasetError` when a label that is to be balanced has no face."""
    sizes = np.bincount(labels, minlength=len(names)).tolist()
    empty = [name for name, size in zip(names, sizes, strict=True) if size == 0]
    if balance != "none" and empty:
        raise DatasetError(
            f"Training has no image of {', '.join(empty)}, and balance = '{balance}' needs "
            "some of every label; add images, or --set fit.balance=none"
        )


def shuffled(place: Tensor, count: Tensor | int, *key: Tensor | int) -> Tensor:
    """Return where each place (n,) of 0..count-1 goes in an order drawn from the key.

    `count` and the parts of the key are integers or (n,). TensorFlow's `index_shuffle`
    takes 8 bits from each word of its key when there are less than 65,536 places, and by
    its default of 4 rounds the orders of keys that follow each other correlate by 0.44: so
    the key is hashed first, and there are 8 rounds.
    """
    mixed = tf.zeros_like(place, tf.uint64)
    for part in key:
        mixed = _hash(mixed + tf.cast(tf.convert_to_tensor(part, tf.int64), tf.uint64))
    return tf.raw_ops.RandomIndexShuffle(
        index=place,
        seed=tf.stack([_hash(mixed + word) for word in range(1, 4)], -1),
        max_index=tf.broadcast_to(tf.convert_to_tensor(count, tf.int64) - 1, tf.shape(place)),
        rounds=8,
    )


def _hash(value: Tensor) -> Tensor:
    """Spread uint64 over all their bits (splitmix64: Steele et al. 2014, with its constants)."""
    value += 0x9E3779B97F4A7C15
    value = (value ^ tf.bitwise.right_shift(value, 30)) * 0xBF58476D1CE4E5B9
    value = (value ^ tf.bitwise.right_shift(value, 27)) * 0x94D049BB133111EB
    return value ^ tf.bitwise.right_shift(value, 31)
