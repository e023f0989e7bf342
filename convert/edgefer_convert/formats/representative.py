"""Representative images: they show quantization after training the ranges of activations."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer.files import write_output
from edgefer.preprocess import Pixels, Preprocess
from edgefer_train.data.dataset import Dataset, Usage

MINIMUM, DEFAULT = 100, 512
"""How many images are needed, and how many of Training are taken unless a file names them."""

FloatImages = NDArray[np.float32]
"""(N, side, side, 1) in 0..1."""


def representative(
    dataset: Dataset | None, preprocess: Preprocess, file: Path | None = None
) -> FloatImages:
    """Return representative images: some of Training, spread evenly, or those of a file.

    The file is an .npz with `images` uint8 (N, H, W). Raises `DatasetError` for a set that
    is smaller than `MINIMUM`, holds images that are not of Training, or has one class only:
    ranges from such a set would hold for nothing else, or be fitted to what is measured on.
    Without a dataset any images of a file will do.
    """
    if dataset is None:
        if file is None:
            raise DatasetError(
                "int8 and int16 find their ranges on images of faces: name some with "
                "--representative FILE.npz or --data DIR, or choose --formats onnx,dynamic"
            )
        images = _read(file, preprocess)
        _require_enough(len(images), str(file))
        return _of_all_levels(preprocess.to_float(images))
    training = dataset.part(Usage.Training)
    if file is None:
        source = f"{dataset.name}, Training"
        rows = np.linspace(0, len(training) - 1, min(DEFAULT, len(training))).astype(np.intp)
    else:
        source = str(file)
        rows = _rows(_read(file, preprocess), training.images, source)
    _require_enough(len(rows), source)
    classes = np.unique(training.labels[rows])
    if len(classes) < 2:
        only = dataset.labels[int(classes[0])]
        raise DatasetError(
            f"{source}: all representative images are of one class, {only}; give some of each"
        )
    return _of_all_levels(preprocess.to_float(training.images[rows]))


def _of_all_levels(images: FloatImages) -> FloatImages:
    """Return the images with black and white among their pixels: dim ones would narrow the input.

    A camera's faces may have any grey level, which is why the input's scale is 1/255.
    """
    if images.min() > 0:
        images[0, 0, 0] = 0.0
    if images.max() < 1:
        images[0, -1, -1] = 1.0
    return images


def _require_enough(count: int, source: str) -> None:
    if count < MINIMUM:
        raise DatasetError(
            f"{source}: {count} representative images are too few; give {MINIMUM} or more"
        )


def write_calibration(folder: Path, images: FloatImages) -> None:
    """Write representative images as arrays: `float32.npy`, 0..1, and `uint8.npy`, grey levels.

    Both are (N, side, side, 1). Raises `SettingsError` where they cannot be written.
    """
    levels = np.round(255 * images).astype(np.uint8)
    for name, array in (("float32.npy", images), ("uint8.npy", levels)):
        content = io.BytesIO()
        np.save(content, array)
        write_output(folder / name, content.getvalue())


def _read(file: Path, preprocess: Preprocess) -> Pixels:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            images = arrays["images"]
    except OSError as exc:
        raise DatasetError(f"{file}: cannot be read: {exc.strerror or 'it is damaged'}") from exc
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise DatasetError(
            f"{file}: not an .npz with an array `images` of representative images, uint8 (N, H, W)"
        ) from exc
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DatasetError(
            f"{file}: images must be uint8 (N, H, W), got {images.dtype} {images.shape}"
        )
    return np.stack([preprocess.resize(image) for image in images]) if len(images) else images


def _rows(images: Pixels, training: Pixels, source: str) -> NDArray[np.intp]:
    """Return each image's row in Training; raise `DatasetError` for one that is not there."""
    known = {image.tobytes(): row for row, image in enumerate(training)}
    rows = [known.get(image.tobytes(), -1) for image in images]
    unknown = sum(row < 0 for row in rows)
    if unknown:
        raise DatasetError(
            f"{source}: {unknown} of {len(rows)} representative images are not of Training; "
            "take them from there, or leave the file out"
        )
    return np.array(rows, np.intp)
