"""Open a face detector by its name."""

from __future__ import annotations

import warnings

from edgefer.console import FallbackWarning
from edgefer.errors import DetectorError, SettingsError
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.whole_image import WholeImage

DETECTORS = ("blazeface", "blazeface-short", "haar")
WHOLE = "whole"
"""The image is the face; nothing is detected, so that it is no choice for a camera."""


def open_detector(name: str | None = None) -> FaceDetector:
    """Open a face detector by its name.

    Without a name that is BlazeFace, or Haar with a `FallbackWarning` where
    BlazeFace's model is not installed. Raises `SettingsError` for an unknown name
    and `DetectorError` where a named one cannot be opened.
    """
    if name is None:
        try:
            return _open("blazeface")
        except DetectorError as exc:
            warnings.warn(f"{exc}; finding faces with haar instead", FallbackWarning, stacklevel=2)
            return _open("haar")
    if name == WHOLE:
        return WholeImage()
    if name not in DETECTORS:
        raise SettingsError(f"unknown detector '{name}'; known: {', '.join(DETECTORS)}")
    return _open(name)


def _open(name: str) -> FaceDetector:
    # Each is imported when it is chosen: LiteRT and OpenCV's cascades take time to load.
    if name == "haar":
        from edgefer_device.faces.haar import Haar

        return Haar()
    from edgefer_device.faces.blazeface import FULL, SHORT, BlazeFace
    from edgefer_device.faces.search import FaceSearch

    near = BlazeFace(variant=SHORT)
    return near if name == "blazeface-short" else FaceSearch(BlazeFace(variant=FULL), near)
