"""Loader of labelled faces: FER2013 files, or folders of images."""

from __future__ import annotations

import logging
from pathlib import Path

from edgefer.errors import DatasetError, SettingsError
from edgefer.fer2013 import WHERE_TO_GET_IT, file_of
from edgefer.labels import FER2013, FERPLUS, FOLDERS, LABEL_SETS, spelled
from edgefer_train.data import fer2013, folders
from edgefer_train.data.dataset import SIDE, Dataset
from edgefer_train.data.files import describe_skipped
from edgefer_train.data.splits import Split, UnsplitDataset, require_split

log = logging.getLogger(__name__)

LABELS = (*LABEL_SETS, FOLDERS)

SMALLEST = 16
"""Pixels: the side of the thumbnails by which copies are found."""


def load(
    where: Path | None, labels: str = "fer2013", split: str = "official", side: int = SIDE
) -> Dataset:
    """Read faces from a file or a folder, whose form is recognized by what lies in it.

    `labels`: `fer2013`, `ferplus` (FER+'s majority, see `Dataset.with_labels`) or
    `folders`, the sorted names of the dataset's own folders. `split`: the `official` parts
    or `72/8/20`, drawn over all faces before any is left out. `side`: of the images,
    pixels, by `Preprocess.resize` from what is stored. Raises `DatasetError` for data that
    cannot be used and `SettingsError` for an option that means nothing.
    """
    require_split(split)
    reading = read(where, labels, side)
    if reading.skipped:
        log.warning("%s: %s", where, describe_skipped(reading.skipped))
    return reading.dataset(split).with_labels(labels)


def read(
    where: Path | None, labels: str = "fer2013", side: int = SIDE, tolerant: bool = False
) -> UnsplitDataset:
    """Read faces under the labels that they are stored with, before any split.

    `tolerant` leaves out files that cannot be read and names them, instead of raising.
    """
    if labels not in LABELS:
        raise SettingsError(f"unknown label set '{labels}'; known: {', '.join(LABELS)}")
    if side < SMALLEST:
        raise SettingsError(f"an image's side must be {SMALLEST} pixels or more, got {side}")
    if where is None:
        raise DatasetError(f"no dataset was named: {WHERE_TO_GET_IT}")
    path = file_of(where)
    if path is None:
        return folders.read(_require_folders(where), _stored(where, labels), side, tolerant)
    if labels == FOLDERS:
        raise DatasetError(f"{path}: holds no class folders; use --labels fer2013 or ferplus")
    return fer2013.read(path, side)


def labels_in(where: Path | None) -> str:
    """Return the name of the label set that a dataset is stored with: what `load` needs."""
    if where is None or file_of(where) is not None:
        return "fer2013"
    classes = {spelled(name) for name in folders.classes_of(_require_folders(where))}
    return next((name for name in LABEL_SETS if set(LABEL_SETS[name]) == classes), FOLDERS)


def split_in(where: Path | None) -> Split:
    """Return the split that a dataset can be used with: its own parts, else drawn ones."""
    no_parts = where is not None and file_of(where) is None and not folders.has_parts(where)
    return "72/8/20" if no_parts else "official"


def _stored(where: Path, labels: str) -> tuple[str, ...] | None:
    """The classes to look for in folders: FER2013's are relabelled by votes, FER+'s are not."""
    if labels == FOLDERS:
        return None
    own_ferplus = labels == "ferplus" and labels_in(where) == "ferplus"
    return FERPLUS if own_ferplus else FER2013


def _require_folders(where: Path) -> Path:
    if not folders.is_folders(where):
        raise DatasetError(
            f"{where}: no faces here, neither FER2013 nor one folder of images a class; "
            f"{WHERE_TO_GET_IT}"
        )
    return where
