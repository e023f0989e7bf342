from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefer.errors import DatasetError, SettingsError
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import load
from support.slices import write_slice

PARTS = ("Training", "Training", "PublicTest", "PrivateTest")

OFFICIAL = "9f320561c119c9c6990b387471fba02bcc835ab0bbd1509b70754b6e73700d94"
"""What runs and bundles have recorded of fer2013.npz with its own parts."""


def pixels(grey: int) -> str:
    return " ".join([str(grey)] * 48 * 48)


def write_csv(folder: Path, rows: list[str]) -> Path:
    (folder / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return folder


def good_rows() -> list[str]:
    return [f"{label},{pixels(10 * label)},{part}" for label, part in enumerate(PARTS)]


def test_a_csv_is_read_row_by_row(tmp_path: Path) -> None:
    dataset = load(write_csv(tmp_path, good_rows()))
    assert dataset.faces.labels.tolist() == [0, 1, 2, 3]
    assert dataset.usage.tolist() == [0, 0, 1, 2]
    assert (dataset.faces.images[2] == 20).all()
    assert dataset.faces.votes is None


def test_kaggles_other_file_is_read_too(tmp_path: Path) -> None:
    rows = [f"{label},{part},{pixels(10 * label)}" for label, part in enumerate(PARTS)]
    text = "\r\n".join(["emotion, Usage, pixels", *rows]) + "\r\n"
    (tmp_path / "icml_face_data.csv").write_text(text)
    dataset = load(tmp_path)
    assert dataset.fingerprint == load(tmp_path / "icml_face_data.csv").fingerprint
    assert dataset.fingerprint == load(write_csv(tmp_path, good_rows())).fingerprint


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,1 2 3,Training", r"line 6: expected 2304 pixels, got 3"),
        (f"0,{pixels(1)}", r"line 6: "),
        (f"9,{pixels(1)},Training", r"row 4 has label 9, expected 0 to 6"),
        (f"300,{pixels(1)},Training", r"row 4 has label 300, expected 0 to 6"),
        (f"happy,{pixels(1)},Training", r"line 6: emotion must be 0 to 6, got 'happy'"),
        (f"0,{pixels(300)},Training", r"line 6: pixels must be 0 to 255"),
        (f"0,{pixels(1)} x,Training", r"line 6: "),
        (f"0,{pixels(1)},Holiday", r"line 6: Usage must be one of .*, got 'Holiday'"),
    ],
)
def test_a_bad_csv_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load(write_csv(tmp_path, [*good_rows(), row]))


def test_a_file_of_which_a_part_was_downloaded_is_called_cut_off(tmp_path: Path) -> None:
    table = write_csv(tmp_path, good_rows()) / "fer2013.csv"
    table.write_text(table.read_text()[:-5000])
    with pytest.raises(DatasetError, match=r"line 5: expected 2304 pixels, got \d+: cut off; down"):
        load(tmp_path)
    table.unlink()
    arrays = tmp_path / "fer2013.npz"
    np.savez(arrays, images=np.zeros((4, 48, 48), np.uint8), labels=np.zeros(4, np.int8))
    arrays.write_bytes(arrays.read_bytes()[:5000])
    with pytest.raises(DatasetError, match=r"not a FER2013 \.npz: damaged or cut off; download it"):
        load(tmp_path)


def test_a_csv_without_its_columns_says_where_to_get_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n")
    with pytest.raises(DatasetError, match="column 'Usage' is missing; get FER2013 from Kaggle"):
        load(tmp_path)


def test_a_csv_without_rows_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no images"):
        load(write_csv(tmp_path, []))
    (tmp_path / "fer2013.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(DatasetError, match="line 1: expected UTF-8, got other"):
        load(tmp_path)


def test_a_dataset_without_privatetest_is_refused(tmp_path: Path) -> None:
    rows = [row for row in good_rows() if "PrivateTest" not in row]
    with pytest.raises(DatasetError, match=r"fer2013\.csv: has no PrivateTest images"):
        load(write_csv(tmp_path, rows))


@pytest.mark.parametrize("where", [None, Path("/nonexistent")])
def test_no_data_says_where_to_get_it(where: Path | None) -> None:
    with pytest.raises(DatasetError, match=r"get FER2013 from Kaggle .* DATA="):
        load(where)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "fer"}, "unknown label set 'fer'; known: fer2013, ferplus, folders"),
        ({"split": "80/20"}, "unknown split '80/20'; known: official, 72/8/20"),
        ({"side": 8}, "side must be 16 pixels or more, got 8"),
        ({"labels": "folders"}, "holds no class folders"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises((SettingsError, DatasetError), match=message):
        load(write_csv(tmp_path, good_rows()), **options)  # type: ignore[arg-type]  # on purpose


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fer2013.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DatasetError, match=r"not a FER2013 \.npz"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("array", "shape", "message"),
    [
        ("images", (4, 32, 32), r"images must be \(4, 48, 48\), got \(4, 32, 32\)"),
        ("usage", (3,), r"usage must be \(4,\), got \(3,\)"),
        ("ferplus_votes", (4, 8), r"votes must be \(4, 10\), got \(4, 8\)"),
    ],
)
def test_an_npz_of_other_shapes_is_refused(
    tmp_path: Path, array: str, shape: tuple[int, ...], message: str
) -> None:
    good = {"images": (4, 48, 48), "labels": (4,), "usage": (4,)}
    arrays = {name: np.zeros(size, np.uint8) for name, size in {**good, array: shape}.items()}
    np.savez(tmp_path / "fer2013.npz", **arrays)  # type: ignore[arg-type]  # the stub: a keyword
    with pytest.raises(DatasetError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("values", [["0", "1", "2", "3"], [0.0, 1.0, 2.5, 3.0]])
def test_an_npz_whose_labels_are_no_whole_numbers_is_refused(
    tmp_path: Path, values: list[object]
) -> None:
    images, usage = np.zeros((4, 48, 48), np.uint8), np.zeros(4, np.uint8)
    np.savez(tmp_path / "fer2013.npz", images=images, labels=np.array(values), usage=usage)
    with pytest.raises(DatasetError, match="label must be whole numbers from 0 to 6, got"):
        load(tmp_path)


def test_the_real_fer2013_has_its_official_sizes_and_known_copies(data: Path) -> None:
    dataset = load(data)
    assert [len(dataset.part(usage)) for usage in Usage] == [28709, 3589, 3589]
    assert dataset.fingerprint == OFFICIAL
    assert int((~dataset.leak_free).sum()) == 336


def test_the_real_fer2013_has_ferplus_labels_for_some_of_its_faces(data: Path) -> None:
    dataset = load(data, labels="ferplus")
    assert [len(dataset.part(usage)) for usage in Usage] == [25057, 3199, 3152]
    assert dataset.fingerprint == OFFICIAL


def test_another_side_is_another_dataset(data: Path, tmp_path: Path) -> None:
    faces = write_slice(data, tmp_path / "slice.npz", 60, 20, 20)
    small, large = load(faces), load(faces, side=96)
    assert large.faces.images.shape == (100, 96, 96)
    assert large.fingerprint != small.fingerprint
    halved = large.faces.images.reshape(100, 48, 2, 48, 2).mean((2, 4))
    assert np.corrcoef(halved.ravel(), small.faces.images.ravel())[0, 1] > 0.99
