"""Which faces are found, by their height: the tables of `edgefer dev faces`."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgefer.cli import main
from edgefer.errors import DatasetError
from edgefer.messages import Box, Detection
from edgefer_device.bench.lab import face_sizes
from edgefer_device.bench.lab.face_sizes import (
    _filled,
    _scenes,
    check_whole,
    count_found,
    place,
    read_clip,
)
from edgefer_device.bench.labelled_faces import MarkedPhoto, read_part, read_photos
from edgefer_device.faces.opening import open_detector
from support.scripted import ScriptedDetector

ROOM = np.full((240, 320, 3), 90, np.uint8)


def test_a_face_is_brought_to_its_height_and_its_place() -> None:
    image = np.full((100, 200, 3), 255, np.uint8)
    photo = place(image, Box(80, 30, 40, 40), 120, ROOM, (0.0, 1.0))
    assert photo.image.shape == (480, 640, 3)
    assert photo.boxes == (Box(0, 360, 120, 120),)
    assert (photo.image[270:, :360] == 255).all()
    assert (photo.image[:260] == 90).all()


def test_each_marked_face_counts_once() -> None:
    photo = MarkedPhoto(np.zeros((100, 100, 3), np.uint8), (Box(0, 0, 40, 40), Box(50, 50, 40, 40)))
    boxes = [Box(1, 1, 40, 40), Box(2, 2, 40, 40), Box(60, 0, 30, 30)]
    detector = ScriptedDetector([[Detection(box, 0.9) for box in boxes]])
    found = check_whole("scripted", detector, [photo], [ROOM] * 4)
    assert (found.marked, found.found, found.elsewhere) == (2, 1, 2)
    # A daemon wants to see a face three times.
    assert (found.frames, found.still, found.watched) == (4, 4, 2)


@pytest.mark.parametrize(("height", "least"), [(24, 9), (40, 10), (300, 12)])
def test_faces_of_any_size_are_found(data: Path, height: int, least: int) -> None:
    """Of 12; the whole table is in docs/results.md."""
    room = read_clip(data / "clips/no_face.mp4")
    every = _scenes(read_photos(data / "photos"), height, room)
    found = count_found("blazeface", open_detector(), list(islice(every, 0, 36, 3)), height)
    assert found.still >= least
    assert found.watched >= least - 1


def test_faces_that_fill_the_picture_are_found(data: Path) -> None:
    chips = read_part(data, "PublicTest", 60).images
    detector = open_detector()
    assert sum(bool(detector.detect(_filled(chip).image)) for chip in chips) >= 57


def test_no_face_is_found_where_none_is(data: Path) -> None:
    frames = read_clip(data / "clips/no_face.mp4")
    detector = open_detector()
    assert not any(detector.detect(image) for image in frames[::4])
    assert not any(face_sizes.reported(detector, frames, 1 / 30))


def test_the_table_is_printed_as_text_and_json(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_sizes, "HEIGHTS", (48,))
    asked = ["dev", "faces", "--data", str(data), "--detector", "blazeface", "--count", "2"]
    done = CliRunner().invoke(main, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [row["height"] for row in said["heights"]] == [48, None]
    assert (said["whole"][0]["marked"], said["whole"][0]["found"]) == (43, 43)
    assert (said["whole"][0]["still"], said["whole"][0]["watched"]) == (0, 0)


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no fer2013.npz or fer2013.csv; get FER2013"):
        read_part(tmp_path, "PublicTest")
    with pytest.raises(DatasetError, match=r"expected training.xml or testing.xml"):
        read_photos(tmp_path)
    (tmp_path / "training.xml").write_text("no list")
    with pytest.raises(DatasetError, match="not a list of imglab"):
        read_photos(tmp_path)


def test_kaggles_csv_is_read_too(tmp_path: Path) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    lines = [f"3,{pixels},PublicTest", f"4,{pixels},PrivateTest"]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    read = read_part(tmp_path, "PublicTest")
    assert read.images.shape == (1, 48, 48)
    assert read.labels.tolist() == [3]
    with pytest.raises(DatasetError, match="no image in its part Training"):
        read_part(tmp_path, "Training")
