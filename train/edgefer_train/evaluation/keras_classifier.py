"""Classifier of a run's Keras model, to measure it as bundles are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from edgefer.errors import RunError
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, Preprocess
from edgefer_train.quantization.fake_quant import load_quantized


class KerasClassifier:
    """One head of a Keras model, float or with fake quantization."""

    def __init__(self, path: Path, head: str) -> None:
        try:
            model = load_quantized(path)
        except (OSError, ValueError) as exc:
            first = (str(exc).splitlines() or ["?"])[0]
            raise RunError(f"{path}: not a model that Keras can read: {first}") from exc
        self._model = keras.Model(model.input, _output(model, head, path))
        self._preprocess = Preprocess(size=model.input_shape[1])

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels) of face crops uint8 (N, size, size)."""
        return np.asarray(self._model(self._preprocess.to_float(crops), training=False).numpy())


def _output(model: Any, head: str, path: Path) -> Any:
    """The logits of a head, by its own name or the one that tfmot gives it."""
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    for name in (head, f"quant_{head}"):
        if name in outputs:
            return outputs[name]
    has = ", ".join(name.removeprefix("quant_") for name in outputs)
    raise RunError(f"{path}: has no head '{head}'; it has: {has}")
