"""Annotated images: legible, complete, and never in place of another image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.console import FallbackWarning
from edgefer.errors import SettingsError
from edgefer.messages import Box, Face
from edgefer.preprocess import Pixels
from edgefer_device.predict.annotate import annotate, targets


def edgefer(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def face(box: Box, label: str = "happy") -> Face:
    return Face(1, box, 0.9, label, {label: 0.93, "other": 0.07})


def ground(level: int, height: int = 480, width: int = 640) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_frame_and_text_show_on_any_background(level: int) -> None:
    box = Box(200, 200, 160, 160)
    drawn = annotate(ground(level), [face(box)])
    words = drawn[120:195, 190:420]
    assert (words > 230).any()
    assert (words < 40).any()
    around = drawn[195:365, 195:365]
    assert (around > 230).any()
    assert (around < 40).any()
    inside = drawn[215:345, 215:345]
    assert (inside == level).all(), "the face itself is unchanged"


def test_without_a_face_nothing_is_drawn() -> None:
    assert (annotate(ground(77), []) == 77).all()


def test_the_input_stays_unchanged() -> None:
    picture = ground(77)
    annotate(picture, [face(Box(200, 200, 160, 160))])
    assert (picture == 77).all()


@pytest.mark.parametrize(
    "box",
    [
        Box(0, 0, 640, 480),
        Box(-40, -40, 200, 200),
        Box(560, 400, 200, 200),
        Box(300, 0, 40, 40),
    ],
)
def test_text_stays_within_the_image(box: Box) -> None:
    drawn = annotate(ground(128), [face(box)])
    assert drawn.shape == (480, 640, 3)
    dark = (drawn == (22, 20, 18)).all(-1)
    assert dark.sum() > 800, "a plate is there"


def test_captions_do_not_cover_each_other_or_a_face() -> None:
    boxes = [Box(200 + 70 * at, 200, 60, 60) for at in range(4)]
    drawn = annotate(ground(128), [face(box) for box in boxes])
    dark = (drawn == (22, 20, 18)).all(-1).astype(np.uint8)
    alone = annotate(ground(128), [face(boxes[0])])
    one = (alone == (22, 20, 18)).all(-1).sum()
    assert dark.sum() > 3.9 * one
    for box in boxes:
        left, top = int(box.left) + 8, int(box.top) + 8
        assert (drawn[top : top + 44, left : left + 44] == 128).all()


def test_a_small_image_is_enlarged_for_its_text() -> None:
    drawn = annotate(ground(128, 48, 48), [face(Box(4, 4, 40, 40))])
    assert drawn.shape == (640, 640, 3)
    assert annotate(ground(128, 4, 900), [face(Box(0, 0, 4, 4))]).shape == (4, 900, 3)


def test_nothing_is_written_unless_asked(data: Path, tmp_path: Path) -> None:
    photo = tmp_path / "party.jpg"
    photo.write_bytes((data / "photos" / "2008_001322.jpg").read_bytes())
    assert edgefer("predict", photo).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["party.jpg"]


def test_the_annotated_image_is_a_file_of_its_own(data: Path, tmp_path: Path) -> None:
    photo = tmp_path / "party.jpg"
    photo.write_bytes((data / "photos" / "2008_001322.jpg").read_bytes())
    before = photo.read_bytes()
    done = edgefer("predict", photo, "--annotate", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert "happy" in done.stdout
    assert photo.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"party.jpg", "party.annotated.jpg"}
    drawn, source = (cv2.imread(str(path)) for path in (tmp_path / "party.annotated.jpg", photo))
    assert drawn is not None
    assert source is not None
    assert drawn.shape[1] == 640
    again = edgefer("predict", photo, "--annotate", tmp_path)
    assert again.exit_code == 0, "an annotated image is overwritten"


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    images = [tmp_path / "a.jpg", tmp_path / "a.annotated.jpg"]
    with pytest.raises(SettingsError, match=r"a\.annotated\.jpg: is an input image"):
        targets(images, tmp_path)
    assert targets(images, tmp_path / "out") == {
        images[0]: tmp_path / "out" / "a.annotated.jpg",
        images[1]: tmp_path / "out" / "a.annotated.annotated.jpg",
    }


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    images = [tmp_path / "one" / "a.jpg", tmp_path / "two" / "a.jpg"]
    with pytest.raises(SettingsError, match="would both become"):
        targets(images, tmp_path / "out")


def test_other_formats_become_png(tmp_path: Path) -> None:
    image = tmp_path / "a.tiff"
    assert targets([image], tmp_path) == {image: tmp_path / "a.annotated.png"}


def test_a_folder_that_cannot_be_written_is_one_line(data: Path, tmp_path: Path) -> None:
    photo = data / "photos" / "2008_001322.jpg"
    (tmp_path / "file").write_text("mine")
    done = edgefer("predict", photo, "--annotate", tmp_path / "file")
    assert done.exit_code == 1
    assert "cannot be written: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("label", ["glücklich", "счастье", "快乐", "happy"])
def test_labels_are_drawn_in_any_script(label: str) -> None:
    """Each letter, and no box in place of a letter that a font lacks."""
    drawn = plate_of(label)
    for other in ("?" * len(label), "\U000e0100" * len(label), label[:-1]):
        assert drawn.shape != plate_of(other).shape or (drawn != plate_of(other)).any()
    assert (drawn > 230).any()


def plate_of(label: str) -> Pixels:
    drawn = annotate(ground(128), [face(Box(200, 200, 160, 160), label)])
    return np.asarray(drawn[120:195, 190:450], np.uint8)


def test_a_font_is_looked_for_once_for_the_same_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr("edgefer_device.predict.annotate.subprocess.run", run)
    for share in (0.91, 0.87, 0.42):
        face = Face(1, Box(10, 10, 60, 60), 0.9, "ζωή", {"ζωή": share}, None)
        annotate(np.zeros((120, 160, 3), np.uint8), [face])
    assert [words[1] for words in asked] == ["sans:charset=3ae 3b6 3c9"]


def test_without_pillow_a_label_is_drawn_in_ascii_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.warns(FallbackWarning, match=r"drawn as gl\?cklich 93 %; run: pip install"):
        drawn = plate_of("glücklich")
    assert (drawn == plate_of("gl?cklich")).all()


@pytest.mark.parametrize("box", [Box(0, 0, 640, 480), Box(4, 4, 630, 470), Box(150, 0, 480, 480)])
def test_no_plate_covers_a_mouth(box: Box) -> None:
    drawn = annotate(ground(128), [face(box)])
    top, bottom = int(box.top + 0.55 * box.height), int(box.top + 0.95 * box.height)
    left, right = int(box.left + 0.2 * box.width), int(box.left + 0.8 * box.width)
    assert (drawn[top:bottom, left:right] == 128).all()
