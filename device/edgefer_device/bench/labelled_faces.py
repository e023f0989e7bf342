"""Images with known faces: FER2013, and marked photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError, ImageError
from edgefer.fer2013 import FILES, PARTS, WHERE_TO_GET_IT, file_of, read_fer2013
from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer_device.system.image_file import read_image

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


def read_part(folder: Path, part: str, count: int | None = None, seed: int = 1) -> LabelledFaces:
    """Read a part of FER2013 from its file in a folder.

    With `count` so many are drawn at random, always the same. Raises `DatasetError`.
    """
    path = file_of(folder)
    if path is None:
        raise DatasetError(f"{folder}: holds no {FILES[0]} or {FILES[1]}; {WHERE_TO_GET_IT}")
    table = read_fer2013(path)
    rows = np.flatnonzero(table.usage == PARTS[part])
    if not len(rows):
        raise DatasetError(f"{folder}: FER2013 has no image in its part {part}")
    if count is not None and count < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))
    return LabelledFaces(table.images[rows], table.labels[rows].astype(np.int64))


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
