"""Training batches as a pure function of seed and step, so that a resumed run sees the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from edgefer.preprocess import Preprocess
from edgefer_train.architectures import unwrapped
from edgefer_train.augment import augment
from edgefer_train.dataset import SIDE, Faces
from edgefer_train.recipe import Augment

Targets = dict[str, np.ndarray]
"""A distribution over labels (N, labels) for each head, by the head's name."""


def steps_per_epoch(faces: Faces, batch_size: int) -> int:
    """Whole batches in one pass; at least one."""
    return max(1, len(faces) // batch_size)


def batches(
    faces: Faces,
    targets: Targets,
    how: Augment,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    side: int = SIDE,
) -> Any:
    """Return an endless `tf.data.Dataset` of (pictures, targets) from a step on.

    Targets are a dict by head, or the array itself where there is one head.
    Pictures are float32 (B, side, side, 1) in 0..1. Epoch e visits all faces in an
    order drawn from (seed, e); step s is augmented by draws from (seed, s).
    """
    images = tf.constant(Preprocess().to_float(faces.images))
    heads = {name: tf.constant(values, tf.float32) for name, values in targets.items()}
    per_epoch = steps_per_epoch(faces, batch_size)
    last = tf.constant(len(faces) - 1, tf.int64)
    size = min(batch_size, len(faces))

    def batch(step: Any) -> tuple[Any, Any]:
        epoch, within = step // per_epoch, step % per_epoch
        places = within * size + tf.range(size, dtype=tf.int64)
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        rows = tf.random.experimental.index_shuffle(places, key, last)
        draws = tf.stack([tf.constant(seed, tf.int64), step])
        pictures = tf.ensure_shape(
            augment(tf.gather(images, rows), how, draws, side), (size, side, side, 1)
        )
        return pictures, unwrapped({name: tf.gather(heads[name], rows) for name in heads})

    data = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return data.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


def plain(faces: Faces, targets: Targets, batch_size: int = 512) -> Any:
    """Return a `tf.data.Dataset` of the faces as they are, once, in order."""
    pictures = Preprocess().to_float(faces.images)
    return tf.data.Dataset.from_tensor_slices((pictures, unwrapped(targets))).batch(batch_size)
