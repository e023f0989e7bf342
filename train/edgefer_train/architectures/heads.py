"""The ends of a network: logits for each label set that it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from edgefer_train.architectures.blocks import Tensor, layers


def dense_head(features: Tensor, size: int, name: str) -> Tensor:
    """Return logits (B, size) of features (B, channels), in 32 bits whatever those are in."""
    return layers.Dense(size, dtype="float32", name=name)(features)


def unwrapped(heads: Mapping[str, Any]) -> Any:
    """Return what stands for the heads in Keras: a dict of several, but one by itself."""
    return dict(heads) if len(heads) > 1 else next(iter(heads.values()))


def one_head(model: Any, head: str) -> Any:
    """Return the part of a model that ends in one head's logits."""
    return keras.Model(model.input, model.get_layer(head).output, name=model.name)
