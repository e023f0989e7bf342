from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgefer.errors import DatasetError, SettingsError
from edgefer.labels import FER2013, FERPLUS
from edgefer.preprocess import Preprocess
from edgefer_train.data.dataset import Dataset, Faces, Usage, majority, majority_column, soft_labels

VOTES = [
    [5, 0, 0, 5, 0, 0, 0, 0, 0, 0],  # tied
    [0, 6, 1, 1, 1, 1, 0, 0, 0, 0],  # happy
    [4, 0, 2, 0, 0, 0, 0, 0, 4, 0],  # tied with unknown
    [4, 1, 1, 1, 1, 1, 1, 0, 0, 0],  # neutral: the others are single votes
    [0, 1, 0, 0, 0, 0, 0, 0, 9, 0],  # unknown
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # no face
    [0, 0, 0, 0, 0, 0, 0, 8, 1, 1],  # contempt
    [0] * 10,
]


def dataset_of(images: np.ndarray, usage: list[Usage]) -> Dataset:
    faces = Faces(images, np.zeros(len(images), np.int8), None)
    return Dataset("test", FER2013, faces, np.array(usage, np.int8))


def voted() -> Dataset:
    """A copy of the last face, which is of PrivateTest, stands in Training without a majority."""
    images = np.random.default_rng(1).integers(0, 255, (len(VOTES), 48, 48), np.uint8)
    images[0] = images[6]
    usage = [Usage.Training] * 3 + [Usage.PublicTest] * 2 + [Usage.PrivateTest] * 3
    faces = Faces(images, np.arange(len(VOTES), dtype=np.int8) % 7, np.array(VOTES, np.uint8))
    return Dataset("test", FER2013, faces, np.array(usage, np.int8))


def test_a_copy_and_a_brighter_copy_of_training_are_leaks() -> None:
    random = np.random.default_rng(1)
    training, other = random.integers(0, 200, (2, 48, 48), np.uint8)
    black = np.zeros_like(training)  # correlates with nothing, not even itself
    images = np.stack([training, black, training, training + 20, black, other])
    usage = [*[Usage.Training] * 2, *[Usage.PrivateTest] * 4]
    assert dataset_of(images, usage).leak_free.tolist() == [False, False, False, True]


@pytest.mark.parametrize("side", [32, 75, 96, 224])
def test_leaks_are_found_at_any_side(side: int) -> None:
    random = np.random.default_rng(1)
    smooth = Preprocess(size=side).resize
    training, other = (smooth(random.integers(0, 200, (6, 6), np.uint8)) for _ in range(2))
    images = np.stack([training, training + 20, other])
    usage = [Usage.Training, Usage.PrivateTest, Usage.PrivateTest]
    assert dataset_of(images, usage).leak_free.tolist() == [False, True]


def test_the_fingerprint_changes_with_one_pixel() -> None:
    images = np.zeros((2, 48, 48), np.uint8)
    usage = [Usage.Training, Usage.PrivateTest]
    before = dataset_of(images.copy(), usage).fingerprint
    images[1, 5, 5] = 1
    assert dataset_of(images, usage).fingerprint != before


def test_votes_become_distributions_over_the_eight_labels() -> None:
    votes = np.array([[5, 0, 0, 5, 0, 0, 0, 0, 0, 0], [0] * 8 + [7, 3]], np.uint8)
    soft = soft_labels(votes)
    assert soft[0].tolist() == [0.5, 0, 0, 0.5, 0, 0, 0, 0]
    assert soft[1].tolist() == [0.125] * 8, "zeros would make the training diverge"


def test_a_majority_is_more_than_half_of_the_votes_that_are_not_single() -> None:
    votes = np.array(VOTES, np.uint8)
    assert majority_column(votes).tolist() == [-1, 1, -1, 0, 8, 9, 7, -1]
    assert majority(votes).tolist() == [-1, 1, -1, 0, -1, -1, 7, -1]


def test_under_ferplus_labels_faces_without_a_majority_are_left_out() -> None:
    view = voted().with_labels("ferplus")
    assert view.labels == FERPLUS
    assert view.faces.labels.tolist() == [1, 0, 7]
    assert view.usage.tolist() == [Usage.Training, Usage.PublicTest, Usage.PrivateTest]
    assert view.faces.votes is not None
    assert view.faces.votes.tolist() == [VOTES[row] for row in (1, 3, 6)], "for soft labels"


def test_a_relabelled_dataset_is_still_the_one_that_was_trained_on() -> None:
    whole = voted()
    view = whole.with_labels("ferplus")
    assert view.fingerprint == whole.fingerprint
    assert view.with_labels("fer2013") is whole
    assert view.with_labels("ferplus") is view
    assert whole.with_labels("fer2013") is whole


def test_a_relabelled_face_leaks_by_a_copy_that_has_no_label() -> None:
    assert voted().with_labels("ferplus").leak_free.tolist() == [False]


def test_without_votes_there_are_no_ferplus_labels() -> None:
    whole = voted()
    bare = dataclasses.replace(whole, faces=dataclasses.replace(whole.faces, votes=None))
    with pytest.raises(DatasetError, match=r"has no FER\+ votes; put fer2013new.csv"):
        bare.with_labels("ferplus")
    own = dataclasses.replace(whole, labels=("smiling", "other"))
    with pytest.raises(DatasetError, match="has the labels smiling, other; nothing turns them"):
        own.with_labels("fer2013")
    with pytest.raises(SettingsError, match="unknown label set 'fer'"):
        whole.with_labels("fer")
