"""Detectors' effect on accuracy: scripted detectors, and real images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.bundle import open_bundle
from edgefer.errors import DatasetError
from edgefer.messages import Box, Detection
from edgefer.runtime import open_classifier
from edgefer_device.bench.lab.detector_accuracy import (
    BLACK,
    EDGE,
    FacesRequest,
    check_photos,
    check_scenes,
    describe,
    measure,
    middle,
    scene,
)
from edgefer_device.bench.labelled_faces import (
    LabelledFaces,
    MarkedPhoto,
    read_fer2013,
    read_photos,
)
from edgefer_device.faces.opening import open_detector
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.pipeline.scripted import ScriptedClassifier, ScriptedDetector
from support.bundles import manifest

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)
SAD = (0.01, 0.01, 0.01, 0.01, 0.94, 0.01, 0.01)
FACES = LabelledFaces(
    np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8), np.array([3, 3, 4, 3])
)


def test_detected_faces_are_compared_with_the_images() -> None:
    there = [Detection(middle(144), 0.9)]
    detector = ScriptedDetector([there, [], there, there])
    classifier = FaceClassifier(ScriptedClassifier([HAPPY, HAPPY, HAPPY, SAD]), manifest())
    done = check_scenes("scripted", detector, classifier, FACES, EDGE, 144)
    assert (done.found, done.images, done.around) == (3, 4, "edge")
    assert done.without == pytest.approx(2 / 3)
    assert done.accuracy == pytest.approx(1 / 3)
    assert done.calibration == (1.0, 0.0, 0.0)


def test_a_box_beside_the_image_is_not_the_face() -> None:
    far = [Detection(Box(10, 10, 100, 100), 0.9)]
    classifier = FaceClassifier(ScriptedClassifier([HAPPY]), manifest())
    done = check_scenes("far", ScriptedDetector([far]), classifier, FACES, BLACK, 144)
    assert (done.found, done.accuracy, done.error) == (0, 0.0, 0.0)


def test_each_marked_face_counts_once() -> None:
    photo = MarkedPhoto(np.zeros((100, 100, 3), np.uint8), (Box(0, 0, 40, 40), Box(50, 50, 40, 40)))
    boxes = [Box(1, 1, 40, 40), Box(2, 2, 40, 40), Box(60, 0, 30, 30)]
    detector = ScriptedDetector([[Detection(box, 0.9) for box in boxes]])
    found = check_photos("scripted", detector, [photo])
    assert (found.faces, found.found, found.false) == (2, 1, 2)


def test_scenes_hold_the_image_in_their_middle() -> None:
    picture = FACES.images[0]
    room = np.full((240, 320, 3), 90, np.uint8)
    for around in (BLACK, EDGE, room):
        whole = scene(picture, 96, around)
        assert whole.shape == (480, 640, 3)
        inside = whole[192:288, 272:368, 0]
        assert (cv2.resize(inside, (48, 48), interpolation=cv2.INTER_AREA) != 0).any()
    assert (scene(picture, 96, room)[0] == 90).all()
    assert (scene(picture, 96, BLACK)[0] == 0).all()


def test_kaggles_csv_is_read_too(tmp_path: Path) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    lines = [f"3,{pixels},PublicTest", f"4,{pixels},PrivateTest"]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    read = read_fer2013(tmp_path, "PublicTest")
    assert read.images.shape == (1, 48, 48)
    assert read.labels.tolist() == [3]
    with pytest.raises(DatasetError, match="no image in its part Training"):
        read_fer2013(tmp_path, "Training")


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"neither fer2013.npz nor fer2013.csv"):
        read_fer2013(tmp_path, "PublicTest")
    with pytest.raises(DatasetError, match=r"expected training.xml or testing.xml"):
        read_photos(tmp_path)
    (tmp_path / "training.xml").write_text("no list")
    with pytest.raises(DatasetError, match="not a list of imglab"):
        read_photos(tmp_path)


def test_a_real_measurement(data: Path) -> None:
    clip = f"file:{data / 'clips/no_face.mp4'}"
    done = measure(FacesRequest(data, ("blazeface",), count=8, scene=clip))
    kinds = [one.around for one in done.scenes]
    assert kinds == ["black", "black", "edge", "edge", "scene", "scene"]
    assert all(one.found >= 2 for one in done.scenes)
    assert (done.photos[0].faces, done.photos[0].found) == (43, 42)
    lines = list(describe(done))
    assert lines[0].startswith("small, FER2013 PublicTest, on ")
    assert lines[-1].startswith("blazeface: 42 of 43 marked faces of photographs, 0 boxes")


def test_detection_costs_little_accuracy(data: Path) -> None:
    """The figures at n = 1,000 are in docs/results.md; here the difference is bounded."""
    faces = read_fer2013(data, "PublicTest", 60)
    bundle = open_bundle("small")
    classifier = FaceClassifier(open_classifier(bundle), bundle.manifest)
    done = check_scenes("blazeface", open_detector("blazeface"), classifier, faces, BLACK, 240)
    assert done.found >= 50
    assert done.accuracy >= done.without - 0.1
