"""From boxes in a picture to each face's probabilities, as the manifest says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgefer.manifest import Manifest
from edgefer.messages import Box
from edgefer.metrics import softmax
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier

Probabilities = NDArray[np.float32]
"""(faces, labels), calibrated; rows sum to 1."""


class FaceClassifier:
    """Cuts faces out, asks the classifier, calibrates the answer."""

    def __init__(self, classifier: Classifier, manifest: Manifest) -> None:
        self._classifier, self._manifest = classifier, manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._manifest.labels

    def crop(self, picture: Pixels, boxes: Sequence[Box]) -> list[Pixels]:
        """Cut the faces at `boxes` out of a BGR picture (H, W, 3), as the model sees them."""
        return [self._manifest.input.preprocess.chip(picture, box) for box in boxes]

    def resized(self, faces: Pixels) -> list[Pixels]:
        """Bring grey faces (N, H, W) that were cut out already to what the model sees."""
        return [self._manifest.input.preprocess.resize(face) for face in faces]

    def read(self, crops: Sequence[Pixels]) -> Probabilities:
        """Return the probabilities of faces, each uint8 (size, size)."""
        if not crops:
            return np.empty((0, len(self.labels)), np.float32)
        logits = self._classifier.logits(np.stack(crops))
        return softmax(logits, self._manifest.output.temperature)

    def by_label(self, row: NDArray[np.floating]) -> dict[str, float]:
        """Return one face's probabilities by label."""
        return dict(zip(self.labels, map(float, row), strict=True))
