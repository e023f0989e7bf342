"""Predictions for single image files, and files that are no images."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edgefer.cli import main
from edgefer.errors import ImageError
from edgefer.labels import FER2013, UNKNOWN
from edgefer.messages import Box, Detection, Prediction, to_json
from edgefer_device.bench.labelled_faces import read_part
from edgefer_device.faces.opening import WHOLE
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.predict.images import describe, predict, predictor
from edgefer_device.system.image_file import read_image
from support.bundles import manifest
from support.scripted import ScriptedClassifier, ScriptedDetector

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)
TORN = (1 / 7,) * 7
FACES = [Detection(Box(10, 10, 60, 60), 0.9), Detection(Box(80, 10, 60, 60), 0.8)]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "party.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
    return path


def edgefer(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def read(
    path: Path, *probabilities: float, faces: tuple[Detection, ...] = tuple(FACES)
) -> Prediction:
    classifier = FaceClassifier(
        ScriptedClassifier([probabilities]), manifest(), manifest().decoder()
    )
    return predict(path, ScriptedDetector([faces]), classifier)


def expression(prediction: Prediction) -> str | None:
    """The likeliest label of the largest face that was found."""
    largest = max(prediction.faces, key=lambda face: face.box.area, default=None)
    if largest is None:
        return None
    return max(largest.probabilities, key=lambda label: largest.probabilities[label])


def test_a_face_that_is_found_is_read_as_well_as_its_chip(data: Path, tmp_path: Path) -> None:
    """Found in the middle of a black picture, it may be read wrongly in a tenth more."""
    part = read_part(data, "PrivateTest", 60)
    detected, cut_out = predictor(), predictor(WHOLE)
    found, right, as_chip = 0, 0, 0
    for chip, label in zip(part.images, part.labels, strict=True):
        cv2.imwrite(str(tmp_path / "chip.png"), chip)
        face = cv2.resize(chip, (240, 240), interpolation=cv2.INTER_CUBIC)
        scene = cv2.copyMakeBorder(face, 120, 120, 200, 200, cv2.BORDER_CONSTANT)
        cv2.imwrite(str(tmp_path / "scene.png"), scene)
        said = expression(detected(tmp_path / "scene.png"))
        if said is not None:
            found += 1
            right += said == FER2013[label]
            as_chip += expression(cut_out(tmp_path / "chip.png")) == FER2013[label]
    assert found >= 50
    assert right >= as_chip - found // 10


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


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_of_a_damaged_image_nothing_but_our_line_is_printed(
    tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = cv2.imencode(ending, noise)[1].tobytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.jpg: No such file"):
        read(tmp_path / "absent.jpg", *HAPPY)
    with pytest.raises(ImageError, match="Is a directory"):
        read(tmp_path, *HAPPY)


def test_the_files_after_a_bad_one_are_read(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no image")
    os.mkfifo(tmp_path / "pipe.jpg")
    bad = [tmp_path / name for name in ("notes.jpg", "pipe.jpg", "absent.jpg")]
    done = edgefer("predict", bad[0], photo, *bad[1:], photo)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [f"{photo}: no face"] * 2
    for path in bad:
        assert str(path) in done.stderr
    assert "is a pipe or a device, expected an image file" in done.stderr


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_photograph_is_turned_upright(data: Path, tmp_path: Path, quarters: int) -> None:
    image = read_image(data / "photos/2008_002079.jpg")
    straight, turned = tmp_path / "straight.png", tmp_path / "turned.png"
    cv2.imwrite(str(straight), image)
    # Against the clock, so that so many quarters are left to a whole turn.
    cv2.imwrite(str(turned), np.rot90(image, 4 - quarters))
    wanted = json.loads(edgefer("predict", straight, "--json").stdout)
    found = json.loads(edgefer("predict", turned, "--upright", "--json").stdout)
    assert found["turned"] == 90 * quarters
    assert len(found["faces"]) == len(wanted["faces"]) >= 3
    height, width = image.shape[:2]
    for face, same in zip(found["faces"], wanted["faces"], strict=True):
        assert face["label"] == same["label"]
        across, down = centre(same["box"])
        place = [(across, down), (height - down, across), (width - across, height - down)]
        place.append((down, width - across))
        # Turned back with the clock by `quarters`.
        assert centre(face["box"]) == pytest.approx(place[quarters], abs=0.01)


def centre(box: list[float]) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_what_phones_write_is_read_with_its_turn(data: Path, tmp_path: Path, suffix: str) -> None:
    image = read_image(data / "photos/2008_001322.jpg")
    pillow_heif.register_heif_opener()
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(image)[..., ::-1]))
    exif = lying.getexif()
    exif[0x0112] = 6  # to be turned by a quarter, with the clock
    lying.save(tmp_path / f"photo.{suffix}", exif=exif.tobytes(), quality=90)
    found = read_image(tmp_path / f"photo.{suffix}")
    assert found.shape == image.shape
    assert np.abs(found.astype(int) - image).mean() < 6
    done = edgefer("predict", tmp_path / f"photo.{suffix}")
    assert done.exit_code == 0, done.stderr
    assert "happy" in done.stdout


@pytest.mark.parametrize("most", [64 * 48 // 2 - 1, 1])
@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_what_pillow_takes_for_a_bomb_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, most: int
) -> None:
    pillow_heif.register_heif_opener()
    path = tmp_path / f"photo.{suffix}"
    Image.new("RGB", (64, 48)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(ImageError, match=r"photo\.(heic|avif): has over 64 megapixels"):
        read_image(path)


def test_a_broken_heic_or_one_without_its_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.HEIC"
    path.write_bytes(b"\0\0\0 ftypheic" + bytes(200))
    with pytest.raises(ImageError, match="not an image that Pillow can read"):
        read_image(path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImageError, match="needs pillow-heif; run: pip install"):
        read_image(path)
