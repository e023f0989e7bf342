from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.console import FallbackWarning
from edgefer.errors import DatasetError
from edgefer.labels import FER2013
from edgefer_train.data.dataset import Usage
from edgefer_train.data.ferplus import COLUMNS
from edgefer_train.data.near_duplicates import digests
from edgefer_train.data.sources import load
from support.slices import write_slice

SLICE = (300, 80, 80)


@pytest.fixture(scope="module")
def written(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slice of the real FER2013 as fer2013.csv, with its votes in fer2013new.csv."""
    folder = tmp_path_factory.mktemp("fer2013")
    with np.load(write_slice(data, folder / "slice.npz", *SLICE)) as arrays:
        parts = [Usage(usage).name for usage in arrays["usage"]]
        faces = [" ".join(map(str, image.ravel())) for image in arrays["images"]]
        rows = zip(arrays["labels"], faces, parts, strict=True)
        votes = [",".join(map(str, row)) for row in arrays["ferplus_votes"]]
    write_lines(
        folder / "fer2013.csv",
        ["emotion,pixels,Usage", *(f"{label},{face},{part}" for label, face, part in rows)],
    )
    named = (f"fer{row:07}.png" if row % 9 else "" for row in range(len(votes)))
    write_lines(
        folder / "fer2013new.csv",
        [
            f"Usage,Image name,{','.join(COLUMNS)}",
            *(",".join(row) for row in zip(parts, named, votes, strict=True)),
        ],
    )
    return folder


@pytest.fixture
def fer2013(written: Path, tmp_path: Path) -> Path:
    """A copy of that to change."""
    return Path(shutil.copytree(written, tmp_path / "fer2013"))


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


def change_line(path: Path, number: int, old: str, new: str) -> None:
    lines = path.read_text().splitlines()
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    write_lines(path, lines)


def test_votes_beside_the_csv_are_those_of_the_npz(fer2013: Path) -> None:
    from_csv, from_npz = load(fer2013), load(fer2013 / "slice.npz")
    assert from_csv.fingerprint == from_npz.fingerprint
    views = [one.with_labels("ferplus") for one in (from_csv, from_npz)]
    assert views[0].faces.labels.tolist() == views[1].faces.labels.tolist()
    assert 300 < len(views[0].faces) < sum(SLICE)


def test_ferplus_labels_after_a_drawn_split_keep_its_parts(fer2013: Path) -> None:
    whole, view = (load(fer2013, labels, "72/8/20") for labels in ("fer2013", "ferplus"))
    parts = dict(zip(digests(whole.faces.images), whole.usage.tolist(), strict=True))
    assert [parts[digest] for digest in digests(view.faces.images)] == view.usage.tolist()
    assert view.fingerprint == whole.fingerprint
    assert view.name == "fer2013, 72/8/20, FER+ majority"


def test_votes_of_another_order_are_refused(fer2013: Path) -> None:
    change_line(fer2013 / "fer2013new.csv", 2, "Training", "PublicTest")
    message = "row 1 is of PublicTest, in FER2013 of Training; the two must be in the same order"
    with pytest.raises(DatasetError, match=message):
        load(fer2013)


def test_votes_of_fewer_rows_are_refused(fer2013: Path) -> None:
    path = fer2013 / "fer2013new.csv"
    write_lines(path, path.read_text().splitlines()[:-1])
    with pytest.raises(DatasetError, match="has 459 rows, FER2013 here has 460"):
        load(fer2013)


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (1, "contempt", "scorn", "column 'contempt' is missing; get fer2013new.csv from github"),
        (3, ".png,", ".png,x", "line 3: a vote is not a number"),
        (3, ".png,", ".png,-", "line 3: votes must be 0 to 255"),
        (3, ".png,", ".png,9", "line 3: "),
    ],
)
def test_a_bad_row_of_votes_is_named(
    fer2013: Path, line: int, old: str, new: str, message: str
) -> None:
    path = fer2013 / "fer2013new.csv"
    change_line(path, line, old, new)
    if new.endswith("9"):
        change_line(path, line, "9", "999")
    with pytest.raises(DatasetError, match=message):
        load(fer2013)


def write_folders(root: Path, name: str) -> Path:
    """The same faces as Kaggle's folders, files named by their row."""
    dataset = load(root / "slice.npz")
    for row, (image, label) in enumerate(
        zip(dataset.faces.images, dataset.faces.labels, strict=True)
    ):
        part = "train" if dataset.usage[row] == Usage.Training else "test"
        folder = root / part / FER2013[label]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name.format(row)), image)
    for file in ("fer2013.csv", "slice.npz"):
        (root / file).unlink()
    return root


def test_folders_of_ferplus_own_names_have_votes(fer2013: Path) -> None:
    original = load(fer2013)
    with pytest.warns(FallbackWarning, match=r"names only 408 of the 460 images"):
        dataset = load(write_folders(fer2013, "fer{:07}.png"))
    assert original.faces.votes is not None
    assert dataset.faces.votes is not None
    known = dict(zip(digests(original.faces.images), original.faces.votes.tolist(), strict=True))
    found = dataset.faces.votes.tolist()
    for digest, votes in zip(digests(dataset.faces.images), found, strict=True):
        assert votes in ([0] * 10, known[digest])
    assert sum(any(votes) for votes in found) == 408


def test_folders_of_other_names_say_that_they_cannot_be_matched(fer2013: Path) -> None:
    root = write_folders(fer2013, "Training_{}.png")
    with (
        pytest.warns(FallbackWarning, match="names none of the images here; .* put fer2013.csv"),
        pytest.raises(DatasetError, match="no FER"),
    ):
        load(root, "ferplus", "72/8/20")
