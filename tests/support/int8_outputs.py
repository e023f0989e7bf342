"""Outputs of a converted int8 file."""

from __future__ import annotations

import numpy as np

from edgefer_convert.analysis.dequantize import Interpreter
from edgefer_convert.formats.tflite import input_output_affine


def int8_logits(content: bytes, images: np.ndarray) -> np.ndarray:
    """Return the logits (N, labels) for images (N, side, side, 1) in 0..1, by LiteRT."""
    net, (first, last) = Interpreter(content), input_output_affine(content)
    return last.dequantize(np.stack([net.run(row)[0] for row in first.quantize(images)]))
