"""The logits of a model's heads, apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgefer.heads import Head
from edgefer.metrics import Logits


def split_logits(heads: Sequence[Head], logits: Logits) -> Mapping[str, Logits]:
    """Return each head's logits (N, labels) of all heads' side by side."""
    ends = np.cumsum([len(head.labels) for head in heads])[:-1]
    parts = np.split(logits, ends, axis=-1)
    return {head.label_set: part for head, part in zip(heads, parts, strict=True)}
