"""What a converted int8 file says."""

from __future__ import annotations

import numpy as np

from edgefer.runtime import litert
from edgefer_convert.formats.tflite import input_affine, output_affine


def said_in_int8(content: bytes, pictures: np.ndarray) -> np.ndarray:
    """Return the logits (N, labels) for pictures (N, side, side, 1) in 0..1, by LiteRT."""
    model = litert(content)
    (into,), (out,) = model.get_input_details(), model.get_output_details()
    counts = []
    for picture in input_affine(content).quantize(pictures):
        model.set_tensor(into["index"], picture[np.newaxis])
        model.invoke()
        counts.append(model.get_tensor(out["index"])[0])
    return output_affine(content).dequantize(np.stack(counts))
