"""Dropout as a pure function of seed and step, so that a resumed fit drops the same."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

Tensor = Any
"""A `tf.Tensor`; TensorFlow ships no types."""

STREAMS = 1_000_003
"""Between the seeds of two layers; no seeds that are tried beside each other are so far apart."""


def make_deterministic(model: Any, seed: int) -> None:
    """Let every dropout of a compiled model draw from `seed` and its optimizer's step.

    As Keras has it, a dropout counts its draws from the start of the process, and each of
    several replicas counts its own: neither a resumed fit nor a shared one would follow the
    curve of one that was neither. What is saved of the model stays as it was.
    """
    dropouts = [layer for layer in model.submodules if isinstance(layer, keras.layers.Dropout)]
    for at, layer in enumerate(dropouts, 1):
        # The one place where a dropout asks for numbers, also inside tfmot's wrappers.
        layer._random_generator = StepGenerator(seed + at * STREAMS, model.optimizer.iterations)


class StepGenerator:
    """Stands in a dropout for its `RandomGenerator`."""

    _rng_type = "legacy_stateful"
    """What the layer's configuration says where nothing was chosen."""

    def __init__(self, seed: int, step: Any) -> None:
        self.seed = seed
        self.step = step
        """A variable: the number of steps that the optimizer has made."""

    def dropout(self, inputs: Tensor, rate: float, noise_shape: Tensor | None = None) -> Tensor:
        """Drop a share of the inputs (B, ...) and scale the rest, as `tf.nn.dropout`."""
        return tf.nn.experimental.general_dropout(inputs, rate, self.uniform, noise_shape)

    def uniform(self, shape: Tensor, dtype: Any) -> Tensor:
        """Return this replica's part of the draws in 0..1 for the whole batch."""
        context = tf.distribute.get_replica_context()
        shape = tf.convert_to_tensor(shape)
        whole = tf.concat([shape[:1] * context.num_replicas_in_sync, shape[1:]], 0)
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(self.step, tf.int64)])
        drawn = tf.random.stateless_uniform(whole, seed, dtype=dtype)
        first = context.replica_id_in_sync_group * shape[0]
        return drawn[first : first + shape[0]]
