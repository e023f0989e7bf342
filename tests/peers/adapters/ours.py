"""edgefer: the daemon's own analysis of a frame, with the shipped settings."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from edgefer.bundle import open_bundle
from edgefer_device.cameras.camera import Frame
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer


class Adapter:
    """One analyzer, as `edgefer run` makes it."""

    def __init__(self, model: str = "small") -> None:
        cv2.setNumThreads(1)
        settings, bundle = Config(), open_bundle(model)
        self._classifier = FaceClassifier.open(bundle)
        self._analyzer = FrameAnalyzer(
            open_detector(),
            self._classifier,
            Tracker(settings.tracking),
            settings.mood,
            quality=settings.quality,
        )
        self._number = 0

    def look(self, image: Any, time: float) -> str | None:
        """Return the mood."""
        self._number += 1
        return self._analyzer.process(Frame(image, time, self._number)).mood

    def read(self, face: Any) -> str:
        """Return the likeliest label."""
        row = self._classifier.read(self._classifier.resized(face[np.newaxis]))[0]
        return self._classifier.labels[int(row.argmax())]
