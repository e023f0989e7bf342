"""Limits of the gate: a recipe has them, a training announces them, a conversion obeys them."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
from msgspec import Meta

Limit = Annotated[float, Meta(ge=0)]

UNLIMITED = sys.float_info.max
"""What `inf` becomes in a limit."""


class GateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the gate; shares are 0..1. `inf` for what may be at most, or 0 for what must
    be at least, leaves a check out."""

    accuracy_drop: Limit = 0.005
    """Of each format on PrivateTest, against float, at most."""
    class_recall_drop: Limit = 0.03
    """Of the class that loses most, against float, at most."""
    class_images: Limit = 2
    """Images of a class that may be lost though they are a larger share of it."""
    agreement: Limit = 0.97
    """Share of images with the same label as float, at least."""
    calibration_error: Limit = 0.05
    """Of int8 formats at the bundle's temperature, at most."""
    float_tensors: Limit = 0
    """In int8 TFLite files, at most."""
    bytes: Limit = 1_000_000
    """Of each int8 file, at most."""
    mmac: Limit = 60.0
    """Million multiply-accumulates an inference, at most."""
    parity: Limit = 0.995
    """Share of images with the same label in the formats of one int8 model, at least.
    Measured: 99.97 % and more."""
    label_order: Limit = 0.01
    """Accuracy that exchanging two labels would gain on PublicTest, at most."""
    corruption_drop: Limit = UNLIMITED
    """Of accuracy by the fifteen corruptions at the third of five strengths, at most; measured
    only where it is set, since it takes fifteen times as long as all else."""
    edgetpu_mapped: Limit = 0.0
    """Share of the operations that an Edge TPU would run, at least."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            # JSON has no infinity.
            msgspec.structs.force_setattr(self, name, min(getattr(self, name), UNLIMITED))

    def __str__(self) -> str:
        return (
            f"accuracy drop at most {self.accuracy_drop:.2%}, agreement at least "
            f"{self.agreement:.2%}, calibration error at most {self.calibration_error:g}, "
            f"{_amount(self.bytes)} bytes, {_amount(self.mmac)} MMAC"
        )

    def refusal(self, parameters: int, macs: int) -> str:
        """Say why `convert` would refuse a net of this size, whatever it learns; else nothing."""
        sizes = (("bytes", parameters, self.bytes), ("mmac", macs / 1e6, self.mmac))
        over = [
            f"{name} at least {value:,.0f}, the gate allows {limit:,.0f}"
            for name, value, limit in sizes
            if value > limit
        ]
        return "; ".join(over)


def _amount(limit: float) -> str:
    return "any" if limit == UNLIMITED else f"{limit:,.0f}"
