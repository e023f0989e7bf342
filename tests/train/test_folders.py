from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.errors import DatasetError, SettingsError
from edgefer.labels import FER2013, FERPLUS
from edgefer.preprocess import Preprocess, to_grey
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import labels_in, load

RANDOM = np.random.default_rng(1)


def image(height: int = 60, width: int = 60) -> np.ndarray:
    """A colour photo of nothing, smooth enough for JPEG."""
    rough = RANDOM.integers(0, 255, (6, 6, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (width, height)), np.uint8)


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def write_kaggle(root: Path, names: list[str]) -> Path:
    for part in ("train", "test"):
        for label, name in enumerate(FER2013):
            files = ["Training_1.png", "Training_2.png"] if part == "train" else names
            for at, file in enumerate(files):
                write(root / part / name / file, np.full((60, 60), 30 * label + at, np.uint8))
    return root


def write_own(root: Path, classes: Iterable[str] = ("smiling", "other"), count: int = 4) -> Path:
    for name in classes:
        for at in range(count):
            write(root / name / f"{at}.jpg", image())
    return root


def load_own(root: Path, side: int = 48) -> np.ndarray:
    return load(root, "folders", "72/8/20", side).faces.images


def test_kaggles_folders_keep_the_official_parts(tmp_path: Path) -> None:
    dataset = load(write_kaggle(tmp_path, ["PublicTest_9.png", "PrivateTest_8.png"]))
    assert [len(dataset.part(usage)) for usage in Usage] == [14, 7, 7]
    assert dataset.labels == FER2013
    assert dataset.faces.images.shape[1:] == (48, 48)
    assert (dataset.part(Usage.PublicTest).images[1] == 30).all()


def test_folders_without_publictest_hold_out_a_tenth_of_training(tmp_path: Path) -> None:
    dataset = load(write_kaggle(tmp_path, ["a.png"]))
    assert [len(dataset.part(usage)) for usage in Usage] == [12, 2, 7]


def test_a_missing_class_folder_is_named(tmp_path: Path) -> None:
    root = write_kaggle(tmp_path, ["a.png"])
    (root / "test" / "disgust" / "a.png").unlink()
    (root / "test" / "disgust").rmdir()
    with pytest.raises(DatasetError, match="test/disgust: no such folder"):
        load(root)


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    root = write_own(tmp_path)
    (root / "third").mkdir()
    (root / "third" / "notes.txt").write_text("to do")
    with pytest.raises(DatasetError, match=r"third: holds no images \(\.png"):
        load_own(root)


def test_files_of_other_endings_are_counted_and_hidden_ones_are_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_own(tmp_path, count=10)
    for name in ("a.heic", "b.HEIC", "c.gif", "README"):
        (root / "other" / name).write_bytes(b"")
    for name in ("._0.jpg", ".DS_Store"):
        (root / "other" / name).write_bytes(b"no image")
    write(root / "__MACOSX" / "other" / "0.jpg", image())
    write(root / "other" / "more" / "0.jpg", image())
    assert len(load_own(root)) == 20
    assert caplog.messages == [
        f"{root}: 4 files skipped by ending (2 .heic, 1 without one, 1 .gif); read are .png, "
        ".jpg, .jpeg, .bmp, .webp, .tif, .tiff, .pgm, .ppm"
    ]


def test_one_class_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r": holds one class, 'smiling'; expected a folder for"):
        load_own(write_own(tmp_path, ["smiling"]))


@pytest.mark.parametrize("name", ["unknown", "Nobody", "uncertain"])
def test_a_class_called_as_a_word_of_ours_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"no class can be called '{name}': unknown, nobody"):
        load_own(write_own(tmp_path, ["smiling", name]))


def test_a_class_that_the_label_set_lacks_is_not_left_out_in_silence(tmp_path: Path) -> None:
    root = write_kaggle(tmp_path, ["a.png"])
    write(root / "train" / "contempt" / "a.png", image())
    with pytest.raises(DatasetError, match="train/contempt: not one of the classes angry, "):
        load(root)


def test_own_classes_ask_for_their_label_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"angry: no such folder; .* --labels folders"):
        load(write_own(tmp_path))


def test_own_folders_are_labelled_by_their_sorted_names(tmp_path: Path) -> None:
    dataset = load(write_own(tmp_path, ("smiling", "Other", ".cache"), 10), "folders", "72/8/20")
    assert dataset.labels == ("Other", "smiling")
    assert np.bincount(dataset.faces.labels).tolist() == [10, 10]
    assert [len(dataset.part(usage)) for usage in Usage] == [14, 2, 4]
    assert dataset.leak_free.all()


def test_own_folders_without_parts_ask_for_a_split(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"^{tmp_path}: has no parts .* --split 72/8/20"):
        load(write_own(tmp_path), "folders")


@pytest.mark.parametrize(
    "parts", [("train", "val", "test"), ("Training", "PublicTest", "PrivateTest")]
)
def test_own_folders_with_parts_keep_them(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part, count in zip(parts, (5, 2, 3), strict=True):
        write_own(tmp_path / part, count=count)
    dataset = load(tmp_path, "folders")
    assert [len(dataset.part(usage)) for usage in Usage] == [10, 4, 6]
    assert dataset.labels == ("other", "smiling")


def test_parts_without_a_test_can_be_drawn_anew(tmp_path: Path) -> None:
    for part in ("train", "validation"):
        write_own(tmp_path / part)
    with pytest.raises(DatasetError, match=f"{tmp_path}: has no PrivateTest .* --split 72/8/20"):
        load(tmp_path, "folders")
    assert len(load(tmp_path, "folders", "72/8/20").faces) == 16


def test_the_same_part_twice_is_refused(tmp_path: Path) -> None:
    for part in ("train", "val", "valid"):
        write_own(tmp_path / part)
    with pytest.raises(DatasetError, match="valid: the same part as val/"):
        load(tmp_path, "folders")


def test_usual_spellings_of_a_label_sets_classes_are_understood(tmp_path: Path) -> None:
    names = ("Anger", "Disgusted", "fearful", "Happiness", "sadness", "surprised", "Neutral")
    dataset = load(write_own(tmp_path, names), split="72/8/20")
    assert dataset.labels == FER2013
    assert np.bincount(dataset.faces.labels).tolist() == [4] * 7
    write(tmp_path / "angry" / "a.png", image())
    with pytest.raises(DatasetError, match="angry: the same class as Anger/"):
        load(tmp_path, split="72/8/20")


def test_folders_of_the_eight_ferplus_classes_need_no_votes(tmp_path: Path) -> None:
    dataset = load(write_own(tmp_path, FERPLUS), "ferplus", "72/8/20")
    assert dataset.labels == FERPLUS
    assert dataset.faces.votes is None


@pytest.mark.parametrize(
    ("classes", "labels"),
    [(FER2013, "fer2013"), (FERPLUS, "ferplus"), (("smiling", "other"), "folders")],
)
def test_the_label_set_is_known_by_the_folders(
    tmp_path: Path, classes: tuple[str, ...], labels: str
) -> None:
    assert labels_in(write_own(tmp_path, classes, 1)) == labels


def test_a_large_image_comes_straight_to_the_side_that_is_asked_for(tmp_path: Path) -> None:
    root, photo = write_own(tmp_path), image(300, 260)
    write(root / "other" / "0.png", photo)
    (root / "other" / "0.jpg").unlink()
    expected = Preprocess(size=96).resize(to_grey(photo))
    assert (load_own(root, 96)[0] == expected).all()


def test_colour_becomes_grey_as_on_the_device_and_alpha_is_left_out(tmp_path: Path) -> None:
    root, photo = write_own(tmp_path), image(48, 48)
    clear = np.dstack([photo, RANDOM.integers(0, 255, (48, 48), np.uint8)])
    write(root / "a" / "1.png", photo)
    write(root / "a" / "2.png", clear)
    write(root / "a" / "3.bmp", to_grey(photo))
    write(root / "a" / "4.png", image())
    write(root / "a" / "5.png", image())
    assert (load_own(root)[:3] == to_grey(photo)).all()


def test_an_image_of_16_bits_is_refused(tmp_path: Path) -> None:
    deep = write(write_own(tmp_path) / "other" / "a.png", image().astype(np.uint16) * 16)
    with pytest.raises(DatasetError, match=f"^{deep}: has 16 bits a channel, expected 8; scale"):
        load_own(tmp_path)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp", ".tif", ".pgm"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_named_in_one_line_only(
    tmp_path: Path, ending: str, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(write_own(tmp_path) / "other" / f"a{ending}", to_grey(image()))
    content = path.read_bytes()
    damaged = {"cut": content[: len(content) // 2], "text": b"not an image", "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(DatasetError, match=f"^{path}: not an image that can be read") as error:
        load_own(tmp_path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err.strip() == "", "the decoders print nothing of their own"


def test_a_png_with_a_flipped_bit_is_damaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(write_own(tmp_path) / "other" / "a.png", image())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"^{path}: not an image that can be read"):
        load_own(tmp_path)
    assert capfd.readouterr().err.strip() == ""


def test_images_without_a_class_are_no_dataset(tmp_path: Path) -> None:
    write(tmp_path / "a.png", image())
    with pytest.raises(DatasetError, match="neither FER2013 nor one folder of images a class"):
        load(tmp_path, "folders")
