"""A model that is to be converted, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgefer.manifest import Evidence
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels

Made = Mapping[str, bytes]
"""The files made so far, by format."""

AFTER_TRAINING = "post-training, ranges from representative pictures of Training"
"""How int8 came by its scales where there was no quantization-aware training."""


@dataclass(frozen=True)
class Source:
    """A float model, how to make each format of it, and what is known of it unmeasured."""

    name: str
    label_set: str
    labels: tuple[str, ...]
    """In the order of the model's outputs, which is the dataset's."""
    side: int
    """Of the model's input, pixels."""
    evidence: Evidence
    """Without scores."""
    licences: Mapping[str, str]
    logits: Callable[[Pixels], Logits]
    """The float model: logits (N, labels) of grey pictures uint8 (N, side, side)."""
    makers: Mapping[str, Callable[[Made], bytes]]
    """By format; the formats that one needs are made before it."""
