"""Labelled faces, their official split, and the copies that leak across it."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer.labels import FERPLUS

SIDE = 48
"""Side of FER2013's pictures, pixels."""

NEAR_COPY = 0.99
"""Correlation of 16x16 thumbnails from which two pictures count as one."""


class Usage(enum.IntEnum):
    """FER2013's official parts."""

    Training = 0
    PublicTest = 1
    PrivateTest = 2


@dataclass(frozen=True)
class Faces:
    """One part of a dataset."""

    images: NDArray[np.uint8]
    """(N, 48, 48) grey levels."""
    labels: NDArray[np.int8]
    """(N,) indices into the label set."""
    votes: NDArray[np.uint8] | None
    """(N, 10) FER+ votes: the eight labels, unknown, no face; None when not known."""

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Faces:
        """Return the faces at some rows."""
        votes = None if self.votes is None else self.votes[rows]
        return Faces(self.images[rows], self.labels[rows], votes)


@dataclass(frozen=True)
class Dataset:
    """All faces of a dataset and the part that each belongs to."""

    name: str
    labels: tuple[str, ...]
    faces: Faces
    usage: NDArray[np.int8]
    """(N,) `Usage` of each face."""

    def part(self, usage: Usage) -> Faces:
        """Return one official part; raise `DatasetError` when it is empty."""
        rows = self.usage == usage
        if not rows.any():
            raise DatasetError(
                f"{self.name}: has no {usage.name} pictures; "
                "use the complete FER2013 with its official split"
            )
        return self.faces.take(rows)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over pictures, labels, parts and votes, in order."""
        digest = hashlib.sha256()
        for array in (self.faces.images, self.faces.labels, self.usage, self.faces.votes):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def leak_free(self) -> NDArray[np.bool_]:
        """(n PrivateTest,) False where Training holds a copy or near-copy of the face."""
        private, training = (
            self.part(usage).images for usage in (Usage.PrivateTest, Usage.Training)
        )
        known = {image.tobytes() for image in training}
        copies = np.array([image.tobytes() in known for image in private])
        return ~(copies | _near_copies(_thumbnails(private), _thumbnails(training)))


def _near_copies(private: NDArray[np.float32], training: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n private,) True where a thumbnail correlates with one of training; a row at a time
    keeps it in the cache, and out of a matrix of 400 MB."""
    return np.array([float((training @ row).max()) > NEAR_COPY for row in private])


def _thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 256) zero-mean unit-length 16x16 means: a dot product is a correlation."""
    factor = SIDE // 16
    small = images.reshape(len(images), 16, factor, 16, factor).mean((2, 4), dtype=np.float32)
    flat = small.reshape(len(images), -1)
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), np.float32)


def soft_labels(votes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn FER+ votes (N, 10) into distributions (N, 8); uniform where no vote names a label.

    A row of zeros would be no abstention: TensorFlow's cross-entropy takes its gradient
    as if each row summed to 1, and 153 such faces of Training push all logits down for
    ever, until the training diverges.

    Source: Barsoum et al. 2016, "Training Deep Networks for Facial Expression
    Recognition with Crowd-Sourced Label Distribution", the cross-entropy scheme.
    """
    named = votes[:, : len(FERPLUS)].astype(np.float32)
    named[named.sum(1) == 0] = 1
    return np.asarray(named / named.sum(1, keepdims=True), np.float32)
