"""A float Keras model, with or without its quantization-aware form, as a source of formats."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgefer.files import from_zip, to_zip
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, Preprocess
from edgefer_convert.formats import onnx_int8
from edgefer_convert.formats.onnx_files import to_int8_onnx, to_onnx
from edgefer_convert.formats.representative import Pictures
from edgefer_convert.formats.tflite import to_float16, to_int8, to_int8_after_training
from edgefer_convert.importers.source import Made

BATCH = 512

FORMATS = ("int8", "onnx", "onnx-int8", "onnx-symmetric", "float16", "mobile", "keras")
"""What a Keras model can become; `mobile` is made from int8 by whoever knows the temperature."""


def makers(
    float_model: Any, qat_model: Any | None, pictures: Callable[[], Pictures]
) -> dict[str, Callable[[Made], bytes]]:
    """Return what makes each format of a Keras model.

    Without a quantization-aware form, int8 gets its ranges from representative `pictures`.
    """

    def int8(_: Made) -> bytes:
        if qat_model is not None:
            return to_int8(qat_model)
        return to_int8_after_training(float_model, pictures())

    return {
        "int8": int8,
        "onnx": lambda _: to_onnx(float_model),
        "onnx-int8": lambda made: to_int8_onnx(made["int8"]),
        "onnx-symmetric": lambda made: onnx_int8.to_symmetric(made["onnx"], pictures()),
        "float16": lambda _: to_float16(float_model),
        "keras": lambda _: to_keras(float_model),
    }


def logits_of(model: Any) -> Callable[[Pixels], Logits]:
    """Return what gives a float Keras model's logits of grey pictures uint8 (N, side, side)."""
    preprocess = Preprocess(size=model.input_shape[1])

    def logits(images: Pixels) -> Logits:
        pictures = preprocess.to_float(images)
        return np.asarray(model.predict(pictures, batch_size=BATCH, verbose=0), np.float32)

    return logits


def to_keras(model: Any) -> bytes:
    """Return the model as a `.keras` file: the same bytes for the same model.

    Keras dates the archive and what it says of itself; both dates are taken out.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = Path(folder) / "model.keras"
        model.save(path)
        entries = from_zip(path.read_bytes())
    said = msgspec.json.decode(entries["metadata.json"])
    entries["metadata.json"] = msgspec.json.encode({**said, "date_saved": ""})
    return to_zip(entries)
