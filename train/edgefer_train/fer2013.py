"""Reading FER2013 in the three forms that people have it in.

- `fer2013.npz`: arrays `images`, `labels`, `usage` and, if known, `ferplus_votes`
- `fer2013.csv`: columns `emotion`, `pixels`, `Usage` (Kaggle's challenge, 2013)
- `train/<class>/*.png` and `test/<class>/*.png` (Kaggle's msambare/fer2013);
  files named PublicTest_* and PrivateTest_* keep their part
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import DatasetError
from edgefer.labels import FER2013
from edgefer.preprocess import Preprocess
from edgefer_train.dataset import SIDE, Dataset, Faces, Usage

WHERE_TO_GET_IT = (
    "get FER2013 from Kaggle ('challenges-in-representation-learning-facial-expression-"
    "recognition-challenge' or 'msambare/fer2013') and put fer2013.csv, fer2013.npz or the "
    "folders train/ and test/ into one folder; name it with DATA=, --data or EDGEFER_DATA"
)

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")

Row = tuple[np.ndarray, int, int]
"""A picture (48, 48) uint8, its label and its usage."""


def load(where: Path | None) -> Dataset:
    """Read FER2013 from a file or the folder that holds it; raise `DatasetError`."""
    if where is None:
        raise DatasetError(f"no dataset was named: {WHERE_TO_GET_IT}")
    for path in (where, where / "fer2013.npz", where / "fer2013.csv"):
        if path.is_file() and path.suffix == ".npz":
            return _read_npz(path)
        if path.is_file() and path.suffix == ".csv":
            return _from_rows(path, _read_csv(path))
    if (where / "train").is_dir() and (where / "test").is_dir():
        return _from_rows(where, _read_folders(where))
    raise DatasetError(f"{where}: no FER2013 here; {WHERE_TO_GET_IT}")


def _read_npz(path: Path) -> Dataset:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels, usage = (arrays[name] for name in ("images", "labels", "usage"))
            votes = arrays.get("ferplus_votes")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise DatasetError(f"{path}: not a FER2013 .npz: {exc}") from exc
    if images.dtype != np.uint8 or images.shape != (len(labels), SIDE, SIDE):
        raise DatasetError(
            f"{path}: images must be uint8 (N, {SIDE}, {SIDE}), got {images.dtype} {images.shape}"
        )
    return _checked(path, Faces(images, labels.astype(np.int8), votes), usage.astype(np.int8))


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        missing = {"emotion", "pixels", "Usage"} - set(rows.fieldnames or ())
        if missing:
            raise DatasetError(f"{path}: column '{min(missing)}' is missing; {WHERE_TO_GET_IT}")
        for row in rows:
            yield _csv_row(path, rows.line_num, row)


def _csv_row(path: Path, line: int, row: dict[str, str | None]) -> Row:
    try:
        pixels = np.array((row["pixels"] or "").split(), np.uint8)
        label, usage = int(row["emotion"] or ""), Usage[row["Usage"] or ""]
    except (ValueError, OverflowError, KeyError) as exc:
        raise DatasetError(f"{path}, line {line}: {exc}") from exc
    if pixels.size != SIDE * SIDE:
        raise DatasetError(
            f"{path}, line {line}: expected {SIDE * SIDE} pixels, got {pixels.size}; "
            "the file may be cut off: download it again"
        )
    return pixels.reshape(SIDE, SIDE), label, usage


def _read_folders(where: Path) -> Iterator[Row]:
    for part, default in (("train", Usage.Training), ("test", Usage.PrivateTest)):
        for label, name in enumerate(FER2013):
            folder = where / part / name
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder; expected one for each class")
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in PICTURES:
                    yield _picture(path), label, _usage_of(path.name, default)


def _usage_of(name: str, default: Usage) -> Usage:
    return next((usage for usage in Usage if name.startswith(usage.name)), default)


def _picture(path: Path) -> np.ndarray:
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise DatasetError(f"{path}: not a picture that can be read")
    return Preprocess(size=SIDE).resize(np.asarray(grey, np.uint8))


def _from_rows(source: Path, rows: Iterator[Row]) -> Dataset:
    images, labels, usage = [], [], []
    for image, label, part in rows:
        images.append(image)
        labels.append(label)
        usage.append(part)
    if not images:
        raise DatasetError(f"{source}: holds no pictures; {WHERE_TO_GET_IT}")
    faces = Faces(np.stack(images), np.array(labels, np.int8), None)
    return _checked(source, faces, np.array(usage, np.int8))


def _checked(source: Path, faces: Faces, usage: np.ndarray) -> Dataset:
    wrong = (faces.labels < 0) | (faces.labels >= len(FER2013))
    if wrong.any():
        row = int(wrong.argmax())
        raise DatasetError(
            f"{source}: row {row} has label {faces.labels[row]}, expected 0 to {len(FER2013) - 1}"
        )
    dataset = Dataset("fer2013", FER2013, faces, _with_validation(usage))
    for part in Usage:
        dataset.part(part)
    return dataset


def _with_validation(usage: np.ndarray) -> np.ndarray:
    """Without PublicTest pictures, every tenth Training picture is held out in their place."""
    if (usage == Usage.PublicTest).any():
        return usage
    usage = usage.copy()
    usage[np.flatnonzero(usage == Usage.Training)[::10]] = Usage.PublicTest
    return usage
