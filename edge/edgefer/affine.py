"""Quantization arithmetic, written once."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

SCALES = (1e-30, 1e30)
"""Smallest and largest scale: their products with int8 values and temperatures are finite."""


class Affine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The affine map between real values and int8: real = scale * (quantized - zero_point).

    Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for
    Efficient Integer-Arithmetic-Only Inference", equation 1.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not SCALES[0] <= self.scale <= SCALES[1]:
            raise ValueError(f"scale must be above 0 and finite in float32, got {self.scale}")
        if not -128 <= self.zero_point <= 127:
            raise ValueError(f"zero_point must fit int8, got {self.zero_point}")

    def quantize(self, real: NDArray[np.floating]) -> NDArray[np.int8]:
        """Return the nearest int8 values, saturated; any shape."""
        rounded = np.round(np.asarray(real, np.float64) / self.scale) + self.zero_point
        return np.clip(rounded, -128, 127).astype(np.int8)

    def dequantize(self, quantized: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return the real values of int8 values; any shape."""
        steps = quantized.astype(np.float32) - self.zero_point
        return np.asarray(np.float32(self.scale) * steps, np.float32)
