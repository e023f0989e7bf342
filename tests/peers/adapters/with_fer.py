"""fer: `FER().detect_emotions`, with its TFLite file or its Keras one (mini_XCEPTION)."""

from __future__ import annotations

from typing import Any

import cv2


class Adapter:
    """Two of the package's detectors, for it cuts out more than a FER2013 picture shows."""

    def __init__(self, use_tflite: bool = True, mtcnn: bool = False) -> None:
        from fer.fer import FER

        self._whole = FER(use_tflite=use_tflite, mtcnn=mtcnn)
        # A FER2013 picture is cut already: what would be added to it is grey.
        self._cut = FER(use_tflite=use_tflite, offsets=(0, 0))

    def look(self, picture: Any, time: float) -> str | None:
        """Return the likeliest label of the first face."""
        found = self._whole.detect_emotions(picture)
        return likeliest(found[0]["emotions"]) if found else None

    def read(self, face: Any) -> str:
        """Return the likeliest label of a face that is given by its box."""
        height, width = face.shape
        picture = cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)
        found = self._cut.detect_emotions(picture, face_rectangles=[(0, 0, width, height)])
        return likeliest(found[0]["emotions"])


def likeliest(emotions: dict[str, float]) -> str:
    """Return the label with the highest score; the package rounds them to two places."""
    return max(emotions, key=lambda label: emotions[label])
