"""Order and weights of the faces in batches: pure functions of seed and step.

All of it runs in the graph, so that a resumed fit, and each worker of several, sees
the same faces as one that was never stopped and never shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer_train.architectures import Tensor

Balance = Literal["none", "oversample", "undersample", "class_weights", "batches"]
Labels = NDArray[np.integer[Any]]
"""(N,) indices into the label set."""


class SampleOrder(Protocol):
    """Which face stands where in which batch."""

    def rows(self, step: Tensor, at: Tensor) -> Tensor:
        """Return the rows (n,) of the faces at the places `at` (n,) of a step's batch."""


def faces_per_epoch(labels: Labels, balance: Balance) -> int:
    """Return how many faces an epoch shows, before it is cut into whole batches."""
    counts = np.unique(labels, return_counts=True)[1]
    if balance == "oversample":
        return int(len(counts) * counts.max())
    if balance == "undersample":
        return int(len(counts) * counts.min())
    return len(labels)


def sample_order(labels: Labels, balance: Balance, size: int, seed: int) -> SampleOrder:
    """Return the order of the faces for batches of `size`; every label must have a face."""
    total = faces_per_epoch(labels, balance)
    if balance == "batches":
        return BalancedBatches(Groups.of(labels, seed), size, seed)
    if balance in ("oversample", "undersample"):
        return BalancedEpochs(Groups.of(labels, seed), total, size, seed)
    return ShuffledEpochs(total, size, seed)


def weights_of(labels: Labels, count: int, balance: Balance) -> NDArray[np.float32]:
    """Return a weight for each face: N / (labels * faces of its label) as class weights.

    Their mean over the faces is 1, so the rate need not change. Source: King & Zeng 2001,
    "Logistic Regression in Rare Events Data", as scikit-learn's "balanced" has it.
    """
    if balance != "class_weights":
        return np.ones(len(labels), np.float32)
    sizes = np.bincount(labels, minlength=count)
    return np.asarray(len(labels) / (count * sizes[labels]), np.float32)


def require_every_label(labels: Labels, names: Sequence[str], balance: Balance) -> None:
    """Raise `DatasetError` when a label that is to be balanced has no face."""
    sizes = np.bincount(labels, minlength=len(names)).tolist()
    empty = [name for name, size in zip(names, sizes, strict=True) if size == 0]
    if balance != "none" and empty:
        raise DatasetError(
            f"Training has no image of {', '.join(empty)}, and balance = '{balance}' needs "
            "some of every label; add images, or set balance = 'none' in the recipe"
        )


@dataclass(frozen=True)
class ShuffledEpochs:
    """Every face once an epoch, in an order drawn for the epoch."""

    faces: int
    size: int
    seed: int

    def rows(self, step: Tensor, at: Tensor) -> Tensor:
        """See `SampleOrder`."""
        epoch, place = _place(step, at, self.size, self.faces)
        return shuffled(place, self.faces, self.seed, epoch)


@dataclass(frozen=True)
class BalancedEpochs:
    """Every label equally often in an epoch: over- and undersampling.

    A label with too few faces shows each of them equally often, within one; one with too
    many shows others in another epoch.
    """

    groups: Groups
    total: int
    size: int
    seed: int

    def rows(self, step: Tensor, at: Tensor) -> Tensor:
        """See `SampleOrder`."""
        epoch, place = _place(step, at, self.size, self.total)
        visit = shuffled(place, self.total, self.seed, epoch)
        return self.groups.row(visit % self.groups.count, visit // self.groups.count, epoch)


@dataclass(frozen=True)
class BalancedBatches:
    """Every label equally often in each batch, within one; its faces in shuffled passes."""

    groups: Groups
    size: int
    seed: int

    def rows(self, step: Tensor, at: Tensor) -> Tensor:
        """See `SampleOrder`."""
        # Shuffled, lest neighbours in the batch, which mixup blends, be always the same pair.
        visit = step * self.size + shuffled(at, self.size, self.seed, step)
        return self.groups.row(visit % self.groups.count, visit // self.groups.count, step * 0)


@dataclass(frozen=True)
class Groups:
    """The rows of the faces of each label."""

    rows: NDArray[np.int64]
    """(N,) sorted by label."""
    sizes: NDArray[np.int64]
    """(labels,) faces of each."""
    seed: int

    @classmethod
    def of(cls, labels: Labels, seed: int) -> Groups:
        """Group faces by their label; every label must have one."""
        rows = np.argsort(labels, kind="stable").astype(np.int64)
        return cls(rows, np.bincount(labels).astype(np.int64), seed)

    @property
    def count(self) -> int:
        """Number of labels."""
        return len(self.sizes)

    def row(self, label: Tensor, visit: Tensor, epoch: Tensor) -> Tensor:
        """Return the face (n,) of a label's n-th visit since `epoch` began: shuffled passes."""
        size = tf.gather(self.sizes, label)
        start = tf.gather(np.cumsum(self.sizes) - self.sizes, label)
        place = shuffled(visit % size, size, self.seed, 1 + epoch, 1 + label, visit // size)
        return tf.gather(self.rows, start + place)


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


def _place(step: Tensor, at: Tensor, size: int, total: int) -> tuple[Tensor, Tensor]:
    """Return the epoch of a step, and places of its batch as places within the epoch."""
    steps = max(1, total // size)
    return step // steps, step % steps * size + at
