"""Training batches as a pure function of seed and step, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from edgefer.errors import SettingsError
from edgefer.preprocess import PIXEL, Preprocess
from edgefer_train.architectures import Tensor, as_outputs
from edgefer_train.data.dataset import SIDE, Faces
from edgefer_train.data.files import resize_all
from edgefer_train.fitting.augment import Draw, augment, mixup
from edgefer_train.fitting.balance import (
    Balance,
    faces_per_epoch,
    require_every_label,
    sample_order,
    weights_of,
)
from edgefer_train.fitting.degrade import degrade
from edgefer_train.recipe import Augment

Targets = dict[str, np.ndarray]
"""A distribution over labels (N, labels) for each head, by the head's name."""

Teach = Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]]
"""From images (B, side, side, 1) and targets by head to the targets to learn."""


@dataclass(frozen=True)
class Shard:
    """Which equal parts of each batch are made here: `count` of `of`, from `first` on."""

    first: int = 0
    count: int = 1
    of: int = 1


def steps_per_epoch(
    faces: Faces, batch_size: int, balance: Balance = "none", epoch_share: float = 1.0
) -> int:
    """Whole batches in one pass, or in a share of it; at least one."""
    return max(1, int(faces_per_epoch(faces.labels, balance) * epoch_share) // batch_size)


def shard_size(size: int, shard: Shard, how: Augment) -> int:
    """Return how many images of a batch each of its equal parts has.

    Raises `SettingsError` when there are no equal parts, or none that keeps the pairs that
    mixup blends together.
    """
    part = size // shard.of
    unit = shard.of * (2 if how.mixup and shard.of > 1 else 1)
    if size % unit:
        blended = ", of an even number each for mixup" if unit > shard.of else ""
        raise SettingsError(
            f"batch_size {size} cannot be shared by {shard.of} replicas in equal parts{blended}; "
            f"choose a multiple of {unit}"
        )
    return part


def batches(  # noqa: PLR0913  # all that decides a batch, each with its own default
    faces: Faces,
    targets: Targets,
    how: Augment,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    side: int = SIDE,
    *,
    balance: Balance = "none",
    labels: Sequence[str] = (),
    teach: Teach | None = None,
    shard: Shard = Shard(),
) -> Any:
    """Return an endless `tf.data.Dataset` of (images, targets) from a step on.

    Targets are a dict by head, or the array itself where there is one head; the first head
    is the one whose labels are balanced, `labels` their names for an error's text. With
    class weights there is a third element, the weights of the first head's losses.
    Images are float32 (B, side, side, 1) in 0..1. Epoch e visits the faces in an
    order drawn from (seed, e); step s is augmented by draws from (seed, s).
    `teach` is given the images and targets as they would else be learned. A `shard` of
    each batch comes in equal parts, one after the other.

    Raises `DatasetError` when a label that is to be balanced has no faces and
    `SettingsError` when the batch cannot be shared.
    """
    first_head, count = next((name, values.shape[1]) for name, values in targets.items())
    names = labels or [str(label) for label in range(count)]
    require_every_label(faces.labels, names, balance)
    size = min(batch_size, faces_per_epoch(faces.labels, balance))
    part = shard_size(size, shard, how)
    order = sample_order(faces.labels, balance, size, seed)
    with tf.device("CPU:0"):
        pixels = tf.constant(faces.images[..., np.newaxis])
        heads = {name: tf.constant(values, tf.float32) for name, values in targets.items()}
        weights = tf.constant(weights_of(faces.labels, count, balance))

    def batch(index: Tensor) -> tuple[Any, ...]:
        step = index // shard.count
        at = (shard.first + index % shard.count) * part + tf.range(part, dtype=tf.int64)
        rows = order(step, at)
        draw = Draw(tf.stack([tf.constant(seed, tf.int64), step]), size, at)
        images = augment(_to_float(tf.gather(pixels, rows)), how, draw, side)
        values = [tf.ensure_shape(images, (part, side, side, 1))]
        values += [tf.gather(of_head, rows) for of_head in (*heads.values(), weights)]
        if how.mixup:
            values = mixup(values, how.mixup, draw)
        images, *gathered, weight = values
        learned = dict(zip(heads, gathered, strict=True))
        if teach:
            # Teachers judge the face before the camera spoils it: they may be fragile themselves.
            learned = teach(images, learned)
        images = tf.ensure_shape(degrade(images, how, draw), images.shape)
        if balance == "class_weights":
            weights_by_head = {first_head: weight} if len(heads) > 1 else weight
            return images, as_outputs(learned), weights_by_head
        return images, as_outputs(learned)

    # Autograph would read this file again, which may have changed since it was loaded.
    as_loaded = tf.autograph.experimental.do_not_convert(batch)
    data = tf.data.Dataset.range(first_step * shard.count, np.iinfo(np.int64).max)
    return data.map(as_loaded, num_parallel_calls=2, deterministic=True).prefetch(4)


def unaugmented(
    faces: Faces, targets: Targets, batch_size: int = 512, side: int | None = None
) -> Any:
    """Return a `tf.data.Dataset` of the faces as they are, once, in order.

    Images are float32 (B, side, side, 1) in 0..1, resized as a device resizes them where
    the faces have another side.
    """
    size = side or faces.images.shape[1]
    images = Preprocess(size=size).to_float(resize_all(size, faces.images))
    data = (images, as_outputs(targets))
    return tf.data.Dataset.from_tensor_slices(data).batch(batch_size)


def _to_float(images: Tensor) -> Tensor:
    """What `Preprocess.to_float` does, in the graph: a test holds them equal to the bit."""
    return tf.cast(images, tf.float32) * np.float32(PIXEL.scale)
