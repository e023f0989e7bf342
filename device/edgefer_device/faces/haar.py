"""`haar`, the face detector that comes with OpenCV (Viola and Jones 2001)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import DetectorError
from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels, to_grey
from edgefer_device.faces.detector import BoxCalibration, FaceDetector

CASCADE = "haarcascade_frontalface_default.xml"

CALIBRATION = BoxCalibration(scale=1.01, across=0.0, down=0.005)
"""Medians over 300 Training images of FER2013 by `tests/support/box_calibration.py`: 1.014, -0.003,
0.008 at 144 pixels (243 found) and 1.008, -0.002, 0.002 at 240 (248 found). So close to (1, 0, 0)
that FER2013 was probably cut by this very cascade."""

STEP = 1.1
"""Each size of window to the one before."""
NEIGHBOURS = 5
"""Windows that must agree on a face."""
SMALLEST = 30
"""Side of the smallest face sought, pixels of the image that is searched."""
LONGEST = 640
"""Larger images are shrunk to this first: the time grows with the area."""


class Haar(FaceDetector):
    """A cascade of Haar features over a pyramid of sizes."""

    name = "haar"

    def __init__(self) -> None:
        # OpenCV 5 has neither the class nor the files.
        data = getattr(cv2, "data", None)
        path = Path(data.haarcascades) / CASCADE if data else Path(CASCADE)
        if not path.is_file() or not hasattr(cv2, "CascadeClassifier"):
            raise DetectorError(
                f"haar needs OpenCV 4; this is {cv2.__version__}, without {CASCADE}"
            )
        self._cascade = cv2.CascadeClassifier(str(path))

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the faces of a BGR image uint8 (H, W, 3), the surest first."""
        shrink = min(1.0, LONGEST / max(image.shape[:2]))
        grey = cv2.resize(to_grey(image), None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        boxes, _, weights = self._cascade.detectMultiScale3(
            cv2.equalizeHist(grey),
            scaleFactor=STEP,
            minNeighbors=NEIGHBOURS,
            minSize=(SMALLEST, SMALLEST),
            outputRejectLevels=True,
        )
        found = [
            Detection(
                CALIBRATION.square(Box(*(box / shrink).tolist())), _probability(float(weight))
            )
            for box, weight in zip(boxes, np.ravel(weights), strict=True)
        ]
        return sorted(found, key=lambda face: -face.score)


def _probability(weight: float) -> float:
    """Return the last stage's sum as 0..1: monotonic, but not calibrated."""
    return float(1 / (1 + np.exp(-weight)))
