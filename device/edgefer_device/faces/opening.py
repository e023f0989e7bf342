"""Open a face detector by its name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from edgefer.console import FallbackWarning
from edgefer.errors import DetectorError, SettingsError
from edgefer_device.faces.detector import FaceDetector


def _haar() -> FaceDetector:
    from edgefer_device.faces.haar import Haar

    return Haar()


def _blazeface() -> FaceDetector:
    from edgefer_device.faces.blazeface import BlazeFace

    return BlazeFace()


def _blazeface_short() -> FaceDetector:
    from edgefer_device.faces.blazeface import SHORT, BlazeFace

    return BlazeFace(variant=SHORT)


DETECTORS: dict[str, Callable[[], FaceDetector]] = {
    "blazeface": _blazeface,
    "blazeface-short": _blazeface_short,
    "haar": _haar,
}
"""By name; each is imported when it is chosen."""


def open_detector(name: str | None = None) -> FaceDetector:
    """Open a face detector by its name.

    Without a name that is BlazeFace, or Haar with a `FallbackWarning` warning where
    BlazeFace's model is not installed. Raises `SettingsError` for an unknown name
    and `DetectorError` where a named one cannot be opened.
    """
    if name is None:
        return _best()
    if name not in DETECTORS:
        raise SettingsError(f"unknown detector '{name}'; known: {', '.join(DETECTORS)}")
    return DETECTORS[name]()


def _best() -> FaceDetector:
    try:
        return _blazeface()
    except DetectorError as exc:
        warnings.warn(f"{exc}; finding faces with haar instead", FallbackWarning, stacklevel=3)
        return _haar()
