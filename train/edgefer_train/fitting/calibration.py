"""The temperature of each head, found on PublicTest when a fit has ended."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.metrics import best_temperature, calibration_error, softmax
from edgefer.preprocess import Preprocess
from edgefer_train.data.dataset import Faces
from edgefer_train.fitting.batches import Targets
from edgefer_train.run import Outcome, Stage

SURE = 0.5
"""A soft target has a label when one holds more than this share (FER+'s majority)."""


def calibrate(model: Any, stage: Stage, faces: Faces, targets: Targets) -> None:
    """Measure a fitted model (logits by head) on faces and write the stage's outcome."""
    said = predict(model, faces)
    accuracy, temperature, error = {}, {}, {}
    for head, target in targets.items():
        clear = target.max(-1) > SURE
        logits, labels = said[head][clear], target[clear].argmax(-1)
        accuracy[head] = float((logits.argmax(-1) == labels).mean())
        temperature[head] = best_temperature(logits, labels)
        error[head] = calibration_error(softmax(logits, temperature[head]), labels)
    stage.end(Outcome(accuracy=accuracy, temperature=temperature, calibration_error=error))


def predict(model: Any, faces: Faces) -> dict[str, np.ndarray]:
    """Return a Keras model's logits (N, labels) of faces, by head also where it has one."""
    images = Preprocess(size=model.input_shape[1]).to_float(faces.images)
    outputs = model.predict(images, batch_size=256, verbose=0)
    return outputs if isinstance(outputs, dict) else {model.output_names[0]: outputs}
