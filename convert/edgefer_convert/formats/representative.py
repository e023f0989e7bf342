"""The pictures from which int8 learns, after training, what activations range over."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer.preprocess import Pixels, Preprocess
from edgefer_train.data.dataset import Dataset, Usage

FEWEST, TAKEN = 100, 512
"""Pictures: the least that is accepted, and how many of Training are taken unless named."""

Pictures = NDArray[np.float32]
"""(N, side, side, 1) in 0..1."""


def representative(dataset: Dataset, preprocess: Preprocess, file: Path | None = None) -> Pictures:
    """Return representative pictures: some of Training, spread evenly, or those of a file.

    The file is an .npz with `images` uint8 (N, H, W). Raises `DatasetError` for a set that
    is smaller than `FEWEST`, holds pictures that are not of Training, or has one class only:
    ranges from such a set would hold for nothing else, or be fitted to what is measured on.
    """
    training = dataset.part(Usage.Training)
    if file is None:
        source = f"{dataset.name}, Training"
        rows = np.linspace(0, len(training) - 1, min(TAKEN, len(training))).astype(np.intp)
    else:
        source = str(file)
        rows = _rows(_read(file, preprocess), training.images, source)
    if len(rows) < FEWEST:
        raise DatasetError(
            f"{source}: {len(rows)} representative pictures are too few; give {FEWEST} or more"
        )
    seen = np.unique(training.labels[rows])
    if len(seen) < 2:
        only = dataset.labels[int(seen[0])]
        raise DatasetError(
            f"{source}: all representative pictures are of one class, {only}; give some of each"
        )
    return preprocess.to_float(training.images[rows])


def _read(file: Path, preprocess: Preprocess) -> Pixels:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            images = arrays["images"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise DatasetError(
            f"{file}: not an .npz with an array `images` of representative pictures: {exc}"
        ) from exc
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DatasetError(
            f"{file}: images must be uint8 (N, H, W), got {images.dtype} {images.shape}"
        )
    return np.stack([preprocess.resize(image) for image in images]) if len(images) else images


def _rows(images: Pixels, training: Pixels, source: str) -> NDArray[np.intp]:
    """Where each picture stands in Training; raise `DatasetError` for one that does not."""
    known = {picture.tobytes(): row for row, picture in enumerate(training)}
    rows = [known.get(image.tobytes(), -1) for image in images]
    strange = sum(row < 0 for row in rows)
    if strange:
        raise DatasetError(
            f"{source}: {strange} of {len(rows)} representative pictures are not of Training; "
            "take them from there, or leave the file out"
        )
    return np.array(rows, np.intp)
