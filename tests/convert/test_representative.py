"""Representative images: of Training, enough of them, of some classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefer.errors import DatasetError
from edgefer.preprocess import Pixels, Preprocess
from edgefer_convert.formats.representative import DEFAULT, MINIMUM, representative
from edgefer_train.data.dataset import Dataset, Usage


def saved(images: Pixels, folder: Path) -> Path:
    np.savez(folder / "images.npz", images=images)
    return folder / "images.npz"


def test_without_a_file_they_are_spread_over_training(dataset: Dataset) -> None:
    taken = representative(dataset, Preprocess())
    training = dataset.part(Usage.Training).images
    assert len(taken) == min(DEFAULT, len(training))
    whole = Preprocess().to_float(training[[0, -1]])
    np.testing.assert_array_equal(taken[[0, -1]], whole)


def test_a_file_has_them(dataset: Dataset, tmp_path: Path) -> None:
    images = dataset.part(Usage.Training).images[50:200]
    taken = representative(dataset, Preprocess(), saved(images, tmp_path))
    np.testing.assert_array_equal(taken, Preprocess().to_float(images))


def test_too_few_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    file = saved(dataset.part(Usage.Training).images[: MINIMUM - 1], tmp_path)
    with pytest.raises(DatasetError, match=r"99 representative images are too few; give 100"):
        representative(dataset, Preprocess(), file)


@pytest.mark.parametrize("part", [Usage.PublicTest, Usage.PrivateTest])
def test_images_that_are_measured_on_are_refused(
    part: Usage, dataset: Dataset, tmp_path: Path
) -> None:
    known = {image.tobytes() for image in dataset.part(Usage.Training).images}
    images = dataset.part(part).images[:120]
    unknown = sum(image.tobytes() not in known for image in images)
    with pytest.raises(DatasetError, match=f"{unknown} of 120 .* not of Training"):
        representative(dataset, Preprocess(), saved(images, tmp_path))


def test_one_class_alone_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    training = dataset.part(Usage.Training)
    happy = training.images[training.labels == dataset.labels.index("happy")]
    with pytest.raises(DatasetError, match=r"all .* are of one class, happy; give some of each"):
        representative(dataset, Preprocess(), saved(happy[:MINIMUM], tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"junk", "not an .npz with an array `images`"),
        (b"", "not an .npz with an array `images`"),
    ],
)
def test_what_is_no_npz_is_refused(
    content: bytes, message: str, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "images.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        representative(dataset, Preprocess(), tmp_path / "images.npz")


def test_colours_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    colours = np.zeros((MINIMUM, 48, 48, 3), np.uint8)
    with pytest.raises(DatasetError, match=r"must be uint8 \(N, H, W\), got uint8 \(100, 48, "):
        representative(dataset, Preprocess(), saved(colours, tmp_path))
