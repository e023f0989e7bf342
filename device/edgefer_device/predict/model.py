"""A model for notebooks: images in, faces out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefer.bundle import open_bundle
from edgefer.messages import Prediction
from edgefer.preprocess import Pixels
from edgefer_device.faces.opening import WHOLE, open_detector
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.predict.images import predict_image
from edgefer_device.system.image_file import read_image


class BundleModel:
    """A bundle's first format and a face detector, opened once."""

    def __init__(self, model: str, labels: str, detector: str | None) -> None:
        bundle = open_bundle(model)
        self._classifier = FaceClassifier.open(bundle, labels)
        self._detector, self._whole = open_detector(detector), open_detector(WHOLE)
        self.labels = self._classifier.labels

    def predict(self, image: str | Path | Pixels, *, cropped: bool = False) -> Prediction:
        """Return the faces of an image file or of pixels; see `edgefer.notebook.Model`."""
        detector, name = self._whole if cropped else self._detector, ""
        if isinstance(image, str | Path):
            name, image = str(image), read_image(Path(image))
        if image.ndim == 2:
            image = np.stack([image] * 3, -1)
        return predict_image(name, image, detector, self._classifier)
