"""Images with known faces: FER2013, and marked photographs.

The device reads them itself: training's readers are not installed beside the daemon.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError, ImageError
from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer.text_files import read_table
from edgefer_device.system.image_file import read_image

PARTS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}
"""The parts of FER2013 as its CSV names them, and their numbers in the .npz."""
TABLES = ("fer2013.csv", "icml_face_data.csv")
"""Kaggle's names of the CSV file."""
SIDE = 48
ANNOTATIONS = ("training.xml", "testing.xml")
"""Files of a folder of photographs, in dlib's imglab format."""


@dataclass(frozen=True, slots=True)
class LabelledFaces:
    """Faces of FER2013."""

    images: Pixels
    """(N, 48, 48)."""
    labels: NDArray[np.int64]
    """(N,), indices into `labels.FER2013`."""


@dataclass(frozen=True, slots=True)
class MarkedPhoto:
    """One photograph and its annotated faces."""

    image: Pixels
    """BGR (H, W, 3)."""
    boxes: tuple[Box, ...]


def read_fer2013(folder: Path, part: str, count: int | None = None, seed: int = 1) -> LabelledFaces:
    """Read a part of `fer2013.npz`, or else of one of Kaggle's `TABLES`, in a folder.

    With `count` so many are drawn at random, always the same. Raises `DatasetError`.
    """
    try:
        if (folder / "fer2013.npz").is_file():
            images, labels = _from_npz(folder / "fer2013.npz", PARTS[part])
        else:
            images, labels = _from_csv(_table_in(folder), part)
    except DatasetError:
        raise
    except (OSError, KeyError, ValueError) as exc:
        raise DatasetError(f"{folder}: FER2013 cannot be read: {exc}") from exc
    if count is not None and count < len(labels):
        rows = np.sort(np.random.default_rng(seed).choice(len(labels), count, replace=False))
        images, labels = images[rows], labels[rows]
    if not len(labels):
        raise DatasetError(f"{folder}: FER2013 has no image in its part {part}")
    return LabelledFaces(images, labels)


def _from_npz(path: Path, number: int) -> tuple[Pixels, NDArray[np.int64]]:
    with path.open("rb") as file, np.load(file) as arrays:
        rows = arrays["usage"] == number
        return arrays["images"][rows], arrays["labels"][rows].astype(np.int64)


def _table_in(folder: Path) -> Path:
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if not found:
        raise DatasetError(
            f"{folder}: neither fer2013.npz nor fer2013.csv; name their folder with --data"
        )
    return found[0]


def _from_csv(path: Path, part: str) -> tuple[Pixels, NDArray[np.int64]]:
    lines = read_table(path, ("emotion", "pixels", "Usage"), "get FER2013 from Kaggle")
    rows = [row for _, row in lines if row["Usage"] == part]
    flat = [np.array(row["pixels"].split(), np.uint8) for row in rows]
    images = np.array(flat, np.uint8).reshape(-1, SIDE, SIDE)
    return images, np.array([int(row["emotion"]) for row in rows], np.int64)


def read_photos(folder: Path) -> list[MarkedPhoto]:
    """Read the photographs that a folder's `training.xml` and `testing.xml` list.

    Raises `DatasetError` where there is neither, or an image cannot be read.
    """
    lists = [folder / name for name in ANNOTATIONS if (folder / name).is_file()]
    if not lists:
        raise DatasetError(
            f"{folder}: no photographs; expected {' or '.join(ANNOTATIONS)} of imglab"
        )
    try:
        entries = [entry for path in lists for entry in ElementTree.parse(path).iter("image")]
        return [_photo(folder, entry) for entry in entries]
    except ImageError as exc:
        raise DatasetError(str(exc)) from exc
    except (ElementTree.ParseError, OSError, LookupError, TypeError, ValueError) as exc:
        # An XML file names its encoding itself: LookupError is for one that Python lacks.
        raise DatasetError(f"{folder}: not a list of imglab: {exc}") from exc


def _photo(folder: Path, entry: ElementTree.Element) -> MarkedPhoto:
    sides = ("left", "top", "width", "height")
    boxes = (Box(*(float(str(box.get(side))) for side in sides)) for box in entry.iter("box"))
    return MarkedPhoto(read_image(folder / str(entry.get("file"))), tuple(boxes))
