from __future__ import annotations

import numpy as np

from edgefer.labels import FER2013
from edgefer_train.dataset import Dataset, Faces, Usage, soft_labels


def dataset_of(images: np.ndarray, usage: list[Usage]) -> Dataset:
    faces = Faces(images, np.zeros(len(images), np.int8), None)
    return Dataset("test", FER2013, faces, np.array(usage, np.int8))


def test_a_copy_and_a_brighter_copy_of_training_are_leaks() -> None:
    random = np.random.default_rng(1)
    training, other = random.integers(0, 200, (2, 48, 48), np.uint8)
    black = np.zeros_like(training)  # correlates with nothing, not even itself
    images = np.stack([training, black, training, training + 20, black, other])
    usage = [*[Usage.Training] * 2, *[Usage.PrivateTest] * 4]
    assert dataset_of(images, usage).leak_free.tolist() == [False, False, False, True]


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
