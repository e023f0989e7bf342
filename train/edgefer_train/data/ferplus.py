"""FER+'s votes for the faces of FER2013: `fer2013new.csv` of github.com/microsoft/FERPlus.

Its rows stand in the order of fer2013.csv. The names in it are those of the files that
its own program writes (fer0000000.png); they are no row numbers, and some stand twice.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.console import FallbackWarning
from edgefer.errors import DatasetError
from edgefer.fer2013 import NUMBER
from edgefer.text_files import read_table
from edgefer_train.data.dataset import Usage

FILE = "fer2013new.csv"

WHERE_TO_GET_IT = f"get {FILE} from github.com/microsoft/FERPlus"

COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    "unknown", "NF",
)  # fmt: skip
"""Of the votes: the labels of `FERPLUS`, unknown, no face."""


class Row(msgspec.Struct, frozen=True):
    """Votes of FER+ for one face."""

    usage: str
    name: str
    votes: tuple[int, ...]


def votes_by_row(where: Path, usage: NDArray[np.int8]) -> NDArray[np.uint8] | None:
    """Return votes (N, 10) for FER2013 in its own order, or None where there is no such file.

    `usage` (N,) is FER2013's. Raises `DatasetError` where the file has other rows.
    """
    path = where / FILE
    if not path.is_file():
        return None
    rows = _read(path)
    if len(rows) != len(usage):
        raise DatasetError(
            f"{path}: has {len(rows)} rows, FER2013 here has {len(usage)}; the two belong "
            "together row by row: get both complete"
        )
    for number, (row, own) in enumerate(zip(rows, usage, strict=True), 1):
        if row.usage != Usage(own).name:
            raise DatasetError(
                f"{path}: row {number} is of {row.usage}, in FER2013 of {Usage(own).name}; "
                "the two must be in the same order"
            )
    return np.array([row.votes for row in rows], np.uint8)


def votes_by_name(where: Path, files: Sequence[str]) -> NDArray[np.uint8] | None:
    """Return votes (N, 10) for image files by their names, or None where there are none.

    A file that FER+ does not name, or names twice, has no votes: zeros. Where it names
    none at all (Kaggle's folders number the images another way) it warns.
    """
    path = where / FILE
    if not path.is_file():
        return None
    rows = _read(path)
    times = Counter(row.name for row in rows)
    known = {row.name: row.votes for row in rows if row.name and times[row.name] == 1}
    found = sum(name in known for name in files)
    if found < len(files):
        _warn_unmatched(path, found, len(files))
    if not found:
        return None
    nothing = (0,) * len(COLUMNS)
    return np.array([known.get(name, nothing) for name in files], np.uint8)


def _warn_unmatched(path: Path, found: int, count: int) -> None:
    some = f"only {found:,} of the {count:,} images" if found else "none of the images"
    warnings.warn(
        f"{path}: names {some} here; votes go by the names of FER+'s own program "
        "(fer0000000.png): put fer2013.csv beside it to have them all",
        FallbackWarning,
        stacklevel=4,
    )


def _read(path: Path) -> list[Row]:
    lines = read_table(path, ("Usage", "Image name", *COLUMNS), WHERE_TO_GET_IT)
    return [_row(path, *line) for line in lines]


def _row(path: Path, line: int, row: dict[str, str]) -> Row:
    texts = [row[column] for column in COLUMNS]
    wrong = next((text for text in texts if not NUMBER.fullmatch(text)), None)
    if wrong is not None:
        raise DatasetError(f"{path}, line {line}: a vote is not a number: '{wrong}'")
    votes = tuple(map(int, texts))
    if min(votes) < 0 or max(votes) > 255:
        raise DatasetError(f"{path}, line {line}: votes must be 0 to 255, got {votes}")
    return Row(row["Usage"], row["Image name"], votes)
