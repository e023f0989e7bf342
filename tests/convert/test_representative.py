"""The pictures that int8 takes its ranges from: of Training, enough of them, of some classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefer.errors import DatasetError
from edgefer.preprocess import Pixels, Preprocess
from edgefer_convert.formats.representative import FEWEST, TAKEN, representative
from edgefer_train.data.dataset import Dataset, Usage


def saved(images: Pixels, folder: Path) -> Path:
    np.savez(folder / "pictures.npz", images=images)
    return folder / "pictures.npz"


def test_unless_named_they_are_spread_over_training(dataset: Dataset) -> None:
    taken = representative(dataset, Preprocess())
    training = dataset.part(Usage.Training).images
    assert len(taken) == min(TAKEN, len(training))
    whole = Preprocess().to_float(training[[0, -1]])
    np.testing.assert_array_equal(taken[[0, -1]], whole)


def test_a_file_names_them(dataset: Dataset, tmp_path: Path) -> None:
    images = dataset.part(Usage.Training).images[50:200]
    taken = representative(dataset, Preprocess(), saved(images, tmp_path))
    np.testing.assert_array_equal(taken, Preprocess().to_float(images))


def test_too_few_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    file = saved(dataset.part(Usage.Training).images[: FEWEST - 1], tmp_path)
    with pytest.raises(DatasetError, match=r"99 representative pictures are too few; give 100"):
        representative(dataset, Preprocess(), file)


@pytest.mark.parametrize("part", [Usage.PublicTest, Usage.PrivateTest])
def test_pictures_that_are_measured_on_are_refused(
    part: Usage, dataset: Dataset, tmp_path: Path
) -> None:
    known = {picture.tobytes() for picture in dataset.part(Usage.Training).images}
    images = dataset.part(part).images[:120]
    strange = sum(image.tobytes() not in known for image in images)
    with pytest.raises(DatasetError, match=f"{strange} of 120 .* not of Training"):
        representative(dataset, Preprocess(), saved(images, tmp_path))


def test_one_class_alone_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    training = dataset.part(Usage.Training)
    happy = training.images[training.labels == dataset.labels.index("happy")]
    with pytest.raises(DatasetError, match=r"all .* are of one class, happy; give some of each"):
        representative(dataset, Preprocess(), saved(happy[:FEWEST], tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"junk", "not an .npz with an array `images`"),
        (b"", "not an .npz with an array `images`"),
    ],
)
def test_what_is_no_npz_is_said(
    content: bytes, message: str, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "pictures.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        representative(dataset, Preprocess(), tmp_path / "pictures.npz")


def test_colours_and_reals_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    colours = np.zeros((FEWEST, 48, 48, 3), np.uint8)
    with pytest.raises(DatasetError, match=r"must be uint8 \(N, H, W\), got uint8 \(100, 48, "):
        representative(dataset, Preprocess(), saved(colours, tmp_path))
