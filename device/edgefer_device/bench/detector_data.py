"""Pictures with known faces, to measure detectors by: FER2013's own, and marked photographs.

The device reads them itself: training's reader is not installed beside the daemon.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer.messages import Box
from edgefer.preprocess import Pixels

PARTS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}
"""The parts of FER2013 as its CSV names them, and their numbers in the .npz."""
SIDE = 48
MARKED = ("training.xml", "testing.xml")
"""Files of a folder of photographs, in dlib's imglab format."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Faces as FER2013 has them."""

    pictures: Pixels
    """(N, 48, 48)."""
    labels: NDArray[np.int64]
    """(N,), indices into `labels.FER2013`."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph and the faces that somebody marked in it."""

    picture: Pixels
    """BGR (H, W, 3)."""
    boxes: tuple[Box, ...]


def read_fer2013(folder: Path, part: str, count: int | None = None, seed: int = 1) -> Labelled:
    """Read a part of `fer2013.npz`, or else of Kaggle's `fer2013.csv`, in a folder.

    With `count` so many are drawn at random, always the same. Raises `DatasetError`.
    """
    try:
        if (folder / "fer2013.npz").is_file():
            pictures, labels = _from_npz(folder / "fer2013.npz", PARTS[part])
        else:
            pictures, labels = _from_csv(folder / "fer2013.csv", part)
    except FileNotFoundError:
        raise DatasetError(
            f"{folder}: neither fer2013.npz nor fer2013.csv; name their folder with --data"
        ) from None
    except (OSError, KeyError, ValueError) as exc:
        raise DatasetError(f"{folder}: FER2013 cannot be read: {exc}") from exc
    if count is not None and count < len(labels):
        rows = np.sort(np.random.default_rng(seed).choice(len(labels), count, replace=False))
        pictures, labels = pictures[rows], labels[rows]
    if not len(labels):
        raise DatasetError(f"{folder}: FER2013 has no picture in its part {part}")
    return Labelled(pictures, labels)


def _from_npz(path: Path, number: int) -> tuple[Pixels, NDArray[np.int64]]:
    with path.open("rb") as file, np.load(file) as arrays:
        rows = arrays["usage"] == number
        return arrays["images"][rows], arrays["labels"][rows].astype(np.int64)


def _from_csv(path: Path, part: str) -> tuple[Pixels, NDArray[np.int64]]:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Usage"] == part]
    flat = [np.array(row["pixels"].split(), np.uint8) for row in rows]
    pictures = np.array(flat, np.uint8).reshape(-1, SIDE, SIDE)
    return pictures, np.array([int(row["emotion"]) for row in rows], np.int64)


def read_photos(folder: Path) -> list[Photo]:
    """Read the photographs that a folder's `training.xml` and `testing.xml` name.

    Raises `DatasetError` where there is neither, or a picture is missing.
    """
    lists = [folder / name for name in MARKED if (folder / name).is_file()]
    if not lists:
        raise DatasetError(f"{folder}: no photographs; expected {' or '.join(MARKED)} of imglab")
    try:
        images = [image for path in lists for image in ElementTree.parse(path).iter("image")]
        return [_photo(folder, image) for image in images]
    except (ElementTree.ParseError, TypeError, ValueError) as exc:
        raise DatasetError(f"{folder}: not a list of imglab: {exc}") from exc


def _photo(folder: Path, image: ElementTree.Element) -> Photo:
    path = folder / str(image.get("file"))
    picture = cv2.imread(str(path))
    if picture is None:
        raise DatasetError(f"{path}: not an image that OpenCV can read")
    sides = ("left", "top", "width", "height")
    boxes = (Box(*(float(str(box.get(side))) for side in sides)) for box in image.iter("box"))
    return Photo(np.asarray(picture, np.uint8), tuple(boxes))
