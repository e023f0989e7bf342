"""The gate: what int8 may cost before a conversion is refused."""

from __future__ import annotations

from edgefer.manifest import Check, Gate
from edgefer.metrics import Scores

LARGEST_DROP = 0.01
"""Share of PrivateTest that a quantized format may lose against float."""

QUANTIZED = ("int8", "onnx-int8")


def judge(scores: dict[str, Scores]) -> Gate:
    """Compare each quantized format's accuracy with `float`'s; return the verdict."""
    return Gate(tuple(_drop(name, scores) for name in QUANTIZED if name in scores))


def _drop(name: str, scores: dict[str, Scores]) -> Check:
    drop = scores["float"].accuracy - scores[name].accuracy
    return Check(
        name=f"accuracy drop of {name}", measured=drop, limit=LARGEST_DROP,
        passed=drop <= LARGEST_DROP,
    )  # fmt: skip
