"""A model that a stranger brings: small, made elsewhere, and it can read faces a little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefer.preprocess import Preprocess
from edgefer_train.data.dataset import Dataset, Usage

POOLED = 4
"""Pixels of a face that become one, each way."""


def fitted(dataset: Dataset, labels: Sequence[str]) -> list[np.ndarray]:
    """Return kernel and bias of a linear reader of pooled faces, by least squares on Training."""
    training = dataset.part(Usage.Training)
    faces = Preprocess().to_float(training.images)
    side = faces.shape[1] // POOLED
    seen = faces.reshape(-1, side, POOLED, side, POOLED).mean((2, 4)).reshape(len(faces), -1)
    order = [labels.index(label) for label in dataset.labels]
    targets = np.eye(len(labels))[np.array(order)[training.labels]]
    middle = seen.mean(0)
    spread = (seen - middle).T @ (seen - middle) + 20 * np.eye(seen.shape[1])
    kernel = 8 * np.linalg.solve(spread, (seen - middle).T @ targets)
    return [kernel.astype(np.float32), (8 * targets.mean(0) - middle @ kernel).astype(np.float32)]


def reader(library: Any, weights: list[np.ndarray], activation: str = "softmax") -> Any:
    """Return the reader as a model of a Keras, 2 or 3, that gives probabilities."""
    layers = library.layers
    picture = layers.Input((48, 48, 1), name="face")
    pooled = layers.Flatten()(layers.AveragePooling2D(POOLED)(picture))
    dense = layers.Dense(weights[1].size, activation=activation, name="answers")
    model = library.Model(picture, dense(pooled), name="stranger")
    dense.set_weights(weights)
    return model
