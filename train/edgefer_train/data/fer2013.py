"""FER2013 as a dataset: the table of its one file, with FER+'s votes beside it."""

from __future__ import annotations

from pathlib import Path

from edgefer.fer2013 import read_fer2013
from edgefer.labels import FER2013
from edgefer_train.data import ferplus
from edgefer_train.data.dataset import Faces
from edgefer_train.data.files import resize_all
from edgefer_train.data.near_duplicates import digests
from edgefer_train.data.splits import UnsplitDataset


def read(path: Path, side: int) -> UnsplitDataset:
    """Read fer2013.npz or fer2013.csv; raise `DatasetError` where it is not that.

    Votes that the file lacks are taken from `fer2013new.csv` beside it.
    """
    table = read_fer2013(path)
    votes = table.votes
    if votes is None:
        votes = ferplus.votes_by_row(path.parent, table.usage)
    return UnsplitDataset(
        path,
        "fer2013",
        FER2013,
        Faces(resize_all(side, table.images), table.labels, votes),
        table.usage,
        digests(table.images),
        [f"row {row}" for row in range(len(table.labels))],
    )
