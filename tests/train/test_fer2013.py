from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.errors import DatasetError
from edgefer.labels import FER2013
from edgefer_train import fer2013
from edgefer_train.dataset import Usage

PARTS = ("Training", "Training", "PublicTest", "PrivateTest")


def pixels(grey: int) -> str:
    return " ".join([str(grey)] * 48 * 48)


def write_csv(folder: Path, rows: list[str]) -> Path:
    (folder / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return folder


def good_rows() -> list[str]:
    return [f"{label},{pixels(10 * label)},{part}" for label, part in enumerate(PARTS)]


def test_a_csv_is_read_row_by_row(tmp_path: Path) -> None:
    dataset = fer2013.load(write_csv(tmp_path, good_rows()))
    assert dataset.faces.labels.tolist() == [0, 1, 2, 3]
    assert dataset.usage.tolist() == [0, 0, 1, 2]
    assert (dataset.faces.images[2] == 20).all()
    assert dataset.faces.votes is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,1 2 3,Training", r"line 6: expected 2304 pixels, got 3"),
        (f"0,{pixels(1)}", r"line 6: "),
        (f"9,{pixels(1)},Training", r"row 4 has label 9, expected 0 to 6"),
        (f"happy,{pixels(1)},Training", r"line 6: invalid literal"),
        (f"0,{pixels(300)},Training", r"line 6: "),
        (f"0,{pixels(1)},Holiday", r"line 6: 'Holiday'"),
    ],
)
def test_a_bad_csv_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fer2013.load(write_csv(tmp_path, [*good_rows(), row]))


def test_a_csv_without_its_columns_says_where_to_get_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n")
    with pytest.raises(DatasetError, match="column 'Usage' is missing; get FER2013 from Kaggle"):
        fer2013.load(tmp_path)


def test_a_dataset_without_privatetest_is_refused(tmp_path: Path) -> None:
    rows = [row for row in good_rows() if "PrivateTest" not in row]
    with pytest.raises(DatasetError, match="has no PrivateTest pictures"):
        fer2013.load(write_csv(tmp_path, rows))


@pytest.mark.parametrize("where", [None, Path("/nonexistent")])
def test_no_data_says_where_to_get_it(where: Path | None) -> None:
    with pytest.raises(DatasetError, match=r"get FER2013 from Kaggle .* DATA="):
        fer2013.load(where)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fer2013.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DatasetError, match=r"not a FER2013 \.npz"):
        fer2013.load(tmp_path)


def write_folders(root: Path, names: list[str]) -> Path:
    for part in ("train", "test"):
        for label, name in enumerate(FER2013):
            folder = root / part / name
            folder.mkdir(parents=True)
            files = ["Training_1.png", "Training_2.png"] if part == "train" else names
            for at, file in enumerate(files):
                picture = np.full((60, 60), 30 * label + at, np.uint8)
                cv2.imwrite(str(folder / file), picture)
    return root


def test_kaggles_folders_keep_the_official_parts(tmp_path: Path) -> None:
    dataset = fer2013.load(write_folders(tmp_path, ["PublicTest_9.png", "PrivateTest_8.png"]))
    assert [len(dataset.part(usage)) for usage in Usage] == [14, 7, 7]
    assert dataset.faces.images.shape[1:] == (48, 48)
    assert (dataset.part(Usage.PublicTest).images[1] == 30).all()


def test_folders_without_publictest_hold_out_a_tenth_of_training(tmp_path: Path) -> None:
    dataset = fer2013.load(write_folders(tmp_path, ["a.png"]))
    assert [len(dataset.part(usage)) for usage in Usage] == [12, 2, 7]


def test_a_missing_class_folder_is_named(tmp_path: Path) -> None:
    root = write_folders(tmp_path, ["a.png"])
    for path in (root / "test" / "disgust").iterdir():
        path.unlink()
    (root / "test" / "disgust").rmdir()
    with pytest.raises(DatasetError, match="test/disgust: no such folder"):
        fer2013.load(root)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = write_folders(tmp_path, ["a.png"])
    (root / "train" / "happy" / "b.png").write_text("not a picture")
    with pytest.raises(DatasetError, match=r"happy/b\.png: not a picture"):
        fer2013.load(root)


def test_the_real_fer2013_has_its_official_sizes_and_known_copies(data: Path) -> None:
    dataset = fer2013.load(data)
    assert [len(dataset.part(usage)) for usage in Usage] == [28709, 3589, 3589]
    assert int((~dataset.leak_free).sum()) == 336
