"""FER2013 in one file, read for training and on the device.

- `fer2013.npz`: arrays `images`, `labels`, `usage` and, if known, `ferplus_votes`
- `fer2013.csv`: columns `emotion`, `pixels`, `Usage` (Kaggle's challenge, 2013)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer.console import track
from edgefer.errors import DatasetError
from edgefer.labels import FER2013
from edgefer.preprocess import Pixels
from edgefer.text_files import read_table

SIDE = 48
"""Of an image, pixels."""
PARTS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}
"""Numbers in the .npz, by the names in the CSV."""
VOTES = 10
"""Columns of FER+'s votes: eight expressions, unknown, no face."""
WHERE_TO_GET_IT = (
    "get FER2013 from Kaggle ('challenges-in-representation-learning-facial-expression-"
    "recognition-challenge' or 'msambare/fer2013') and put fer2013.csv, fer2013.npz or the "
    "folders train/ and test/ into one folder; name it with DATA=, --data or EDGEFER_DATA"
)

AGAIN = "download it again"
NUMBER = re.compile("-?[0-9]{1,9}")

FILES = ("fer2013.npz", "fer2013.csv", "icml_face_data.csv")
"""What is read in a folder, the first that is there; Kaggle has the last two."""

Row = tuple[Pixels, int, int]
"""An image (48, 48), its label and its usage."""


def file_of(where: Path) -> Path | None:
    """Return the file of FER2013 that `where` is or holds, or None."""
    for path in (where, *(where / name for name in FILES)):
        if path.suffix in (".npz", ".csv") and path.is_file():
            return path
    return None


def read_fer2013(path: Path) -> Table:
    """Read fer2013.npz or fer2013.csv; raise `DatasetError` where it is not that."""
    table = _read_npz(path) if path.suffix == ".npz" else _read_csv(path)
    labels = _in_range(path, "label", table.labels, len(FER2013))
    usage = _in_range(path, "usage", table.usage, len(PARTS))
    return replace(table, labels=labels, usage=usage)


@dataclass(frozen=True)
class Table:
    """The columns of FER2013 in one file."""

    images: Pixels
    """(N, 48, 48)."""
    labels: NDArray[np.int8]
    """(N,), indices into `labels.FER2013`."""
    usage: NDArray[np.int8]
    """(N,), numbers of `PARTS`."""
    votes: NDArray[np.uint8] | None = None
    """(N, 10), FER+'s, where the file has them."""

    def require_shapes(self, path: Path) -> Table:
        """Return the table itself; raise `DatasetError` for columns of other shapes or types."""
        count = self.labels.size
        expected = {"images": (count, SIDE, SIDE), "labels": (count,), "usage": (count,),
                  "votes": (count, VOTES)}  # fmt: skip
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise DatasetError(f"{path}: {name} must be {shape}, got {array.shape}")
        if self.images.dtype != np.uint8:
            raise DatasetError(f"{path}: images must be uint8, got {self.images.dtype}")
        return self


def _read_npz(path: Path) -> Table:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels, usage = (arrays[name] for name in ("images", "labels", "usage"))
            table = Table(images, labels, usage, arrays.get("ferplus_votes"))
    except Exception as exc:  # NumPy, zipfile and zlib have many for a damaged file
        absent = isinstance(exc, KeyError) and exc.args and f"'{str(exc.args[0]).split()[0]}'"
        wrong = f"holds no {absent}" if absent else f"damaged or cut off; {AGAIN}"
        raise DatasetError(f"{path}: not a FER2013 .npz: {wrong}") from exc
    return table.require_shapes(path)


def _read_csv(path: Path) -> Table:
    lines = read_table(path, ("emotion", "pixels", "Usage"), WHERE_TO_GET_IT)
    if not lines:
        raise DatasetError(f"{path}: holds no images; {WHERE_TO_GET_IT}")
    rows = [_csv_row(path, *line) for line in track(lines, f"reading {path.name}")]
    images, labels, usage = zip(*rows, strict=True)
    return Table(np.stack(images), np.array(labels), np.array(usage))


def _csv_row(path: Path, line: int, row: dict[str, str]) -> Row:
    place, label, usage = f"{path}, line {line}", row["emotion"], row["Usage"]
    try:
        # Eight times faster than to split the text and convert each word.
        pixels = np.fromstring(row["pixels"], np.int64, sep=" ")
    except ValueError as exc:
        raise DatasetError(f"{place}: pixels must be whole numbers, one is not; {AGAIN}") from exc
    if pixels.size != SIDE * SIDE:
        raise DatasetError(
            f"{place}: expected {SIDE * SIDE} pixels, got {pixels.size}: cut off; {AGAIN}"
        )
    if pixels.min() < 0 or pixels.max() > 255:
        raise DatasetError(f"{place}: pixels must be 0 to 255, one is not")
    if not NUMBER.fullmatch(label):
        raise DatasetError(f"{place}: emotion must be 0 to {len(FER2013) - 1}, got '{label}'")
    if usage not in PARTS:
        raise DatasetError(f"{place}: Usage must be one of {', '.join(PARTS)}, got '{usage}'")
    return pixels.astype(np.uint8).reshape(SIDE, SIDE), int(label), PARTS[usage]


def _in_range(path: Path, what: str, values: NDArray[np.integer], count: int) -> NDArray[np.int8]:
    if values.dtype.kind not in "iu":
        raise DatasetError(
            f"{path}: {what} must be whole numbers from 0 to {count - 1}, got {values.dtype}"
        )
    wrong = (values < 0) | (values >= count)
    if wrong.any():
        row = int(wrong.argmax())
        raise DatasetError(f"{path}: row {row} has {what} {values[row]}, expected 0 to {count - 1}")
    return values.astype(np.int8)
