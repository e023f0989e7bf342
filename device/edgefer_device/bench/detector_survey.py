"""What `edgefer dev faces` is asked to measure, and the doing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2

from edgefer.bundle import open_bundle
from edgefer.errors import CameraError
from edgefer.machine import machine
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.bench.box_calibration import BLACK, EDGE
from edgefer_device.bench.detector_accuracy import FaceCheck, Scenes, check_photos, check_scenes
from edgefer_device.bench.detector_data import MARKED, read_fer2013, read_photos
from edgefer_device.cameras.opening import open_camera
from edgefer_device.daemon.configuration import Config
from edgefer_device.faces.opening import DETECTORS, open_detector
from edgefer_device.pipeline.analyzer import FaceClassifier

SIDES = (144, 240)
"""Of the pictures in their scenes, pixels: a face two metres from the camera, and one before it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What to measure."""

    data: Path
    """Folder with FER2013, and with `photos` if they are to be counted."""
    detectors: tuple[str, ...] = ()
    """Names; none means all."""
    model: str | None = None
    part: str = "PublicTest"
    count: int | None = None
    """Pictures drawn at random; None takes all."""
    scene: str | None = None
    """Address of a camera whose first picture is a scene too."""


def measure(survey: Survey) -> FaceCheck:
    """Measure; raises an `EdgeferError` for whatever cannot be read or opened."""
    cv2.setNumThreads(1)
    bundle = open_bundle(survey.model or Config().model)
    scenes = tuple(_scenes(survey, FaceClassifier(open_classifier(bundle), bundle.manifest)))
    folder = survey.data / "photos"
    marked = any((folder / name).is_file() for name in MARKED)
    photos = read_photos(folder) if marked else []
    found = [check_photos(name, open_detector(name), photos) for name in _names(survey) if photos]
    return FaceCheck(machine(), bundle.manifest.name, survey.part, scenes, tuple(found))


def _names(survey: Survey) -> tuple[str, ...]:
    return survey.detectors or tuple(DETECTORS)


def _scenes(survey: Survey, classifier: FaceClassifier) -> Iterator[Scenes]:
    faces = read_fer2013(survey.data, survey.part, survey.count)
    around: list[str | Pixels] = [BLACK, EDGE]
    if survey.scene is not None:
        around.append(first_picture(survey.scene))
    for name in _names(survey):
        detector = open_detector(name)
        for kind in around:
            for side in SIDES:
                yield check_scenes(name, detector, classifier, faces, kind, side)


def first_picture(camera: str) -> Pixels:
    """Return a camera's first picture, BGR; raise `CameraError` where there is none."""
    with closing(open_camera(camera)) as opened:
        for frame in opened.frames():
            return frame.image
    raise CameraError(f"{camera}: no picture came")
