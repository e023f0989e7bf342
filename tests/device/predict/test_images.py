"""Predictions for single image files, and files that are no images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.errors import ImageError
from edgefer.labels import UNKNOWN
from edgefer.messages import Box, Detection, Prediction, to_json
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.pipeline.scripted import ScriptedClassifier, ScriptedDetector
from edgefer_device.predict.images import describe, predict
from support.bundles import manifest

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)
TORN = (1 / 7,) * 7
FACES = [Detection(Box(10, 10, 60, 60), 0.9), Detection(Box(80, 10, 60, 60), 0.8)]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "party.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
    return path


def read(
    path: Path, *probabilities: float, faces: tuple[Detection, ...] = tuple(FACES)
) -> Prediction:
    classifier = FaceClassifier(ScriptedClassifier([probabilities]), manifest())
    return predict(path, ScriptedDetector([faces]), classifier)


def test_every_face_of_an_image_is_classified(photo: Path) -> None:
    prediction = read(photo, *HAPPY)
    assert prediction.image == str(photo)
    assert [face.track for face in prediction.faces] == [1, 2]
    assert [face.label for face in prediction.faces] == ["happy", "happy"]
    assert prediction.faces[0].box == FACES[0].box
    assert prediction.faces[0].probabilities["happy"] == pytest.approx(0.94, abs=1e-3)
    assert to_json(prediction).startswith('{"image":"')


def test_a_face_below_the_threshold_is_unknown(photo: Path) -> None:
    assert {face.label for face in read(photo, *TORN).faces} == {UNKNOWN}


def test_an_image_without_a_face_has_none(photo: Path) -> None:
    assert read(photo, *HAPPY, faces=()).faces == ()


def test_a_prediction_in_one_line(photo: Path) -> None:
    assert describe(read(photo, *HAPPY)) == f"{photo}: happy 94 %, happy 94 %"
    assert describe(read(photo, *TORN, faces=(FACES[0],))) == f"{photo}: unknown (unsure)"
    assert describe(read(photo, *HAPPY, faces=())) == f"{photo}: no face"


@pytest.mark.parametrize("content", [b"this is a text\n" * 50, b"", b"\xff\xd8\xff\xe0broken"])
def test_a_file_that_is_no_image_is_refused(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"notes\.jpg: not an image"):
        read(path, *HAPPY)
    assert capfd.readouterr().err == ""


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.jpg: No such file"):
        read(tmp_path / "absent.jpg", *HAPPY)
    with pytest.raises(ImageError, match="Is a directory"):
        read(tmp_path, *HAPPY)
