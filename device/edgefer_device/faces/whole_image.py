"""The detector of images that were cut out already: the face is the image."""

from __future__ import annotations

from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels
from edgefer_device.faces.detector import FaceDetector


class WholeImage(FaceDetector):
    """Finds one face, as large as the image."""

    name = "whole"

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the face of a BGR image uint8 (H, W, 3)."""
        height, width = image.shape[:2]
        return [Detection(Box(0, 0, width, height), 1.0)]
