"""Labelled faces, the parts they belong to, and the copies that leak across them."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer.labels import FERPLUS, FOLDERS, label_set
from edgefer_train.data.near_duplicates import find_near_duplicates

SIDE = 48
"""Side of FER2013's images, pixels."""

NO_FACE = len(FERPLUS) + 1
"""Column of the FER+ votes for no face; that before it is `unknown`."""


class Usage(enum.IntEnum):
    """The parts of a dataset, by FER2013's names: to learn from, to choose by, to measure on."""

    Training = 0
    PublicTest = 1
    PrivateTest = 2


@dataclass(frozen=True)
class Faces:
    """One part of a dataset."""

    images: NDArray[np.uint8]
    """(N, side, side) grey levels."""
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
    split: str = field(default="official", kw_only=True)
    """Where the parts come from, as `splits.Split` names it."""

    def part(self, usage: Usage) -> Faces:
        """Return one part; raise `DatasetError` when it is empty."""
        rows = self.usage == usage
        if not rows.any():
            raise DatasetError(f"{self.name}: has no {usage.name} images; use the complete dataset")
        return self.faces.take(rows)

    def rows_in(self, whole: Dataset, usage: Usage) -> NDArray[np.intp]:
        """Return where the faces of a part are in that part of the `whole` they were taken from."""
        return np.arange(int((whole.usage == usage).sum()))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over images, labels, parts and votes, in order."""
        digest = hashlib.sha256()
        for array in (self.faces.images, self.faces.labels, self.usage, self.faces.votes):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def leak_free(self) -> NDArray[np.bool_]:
        """(n PrivateTest,) False where Training holds a copy or near-copy of the face."""
        private, training = (self.part(one) for one in (Usage.PrivateTest, Usage.Training))
        return ~find_near_duplicates(private.images, training.images).copied

    def with_labels(self, name: str) -> Dataset:
        """Return the same faces under another label set, without those that it has no label for.

        `ferplus` is FER+'s majority of the votes; `fer2013` leads back from there; `folders`
        are the labels that it has. Raises `DatasetError` where the faces have no votes.
        """
        if name == FOLDERS or label_set(name) == self.labels:
            return self
        labels = label_set(name)
        if labels != FERPLUS:
            raise DatasetError(
                f"{self.name}: has the labels {', '.join(self.labels)}; nothing turns them "
                f"into {name}"
            )
        if self.faces.votes is None:
            raise DatasetError(
                f"{self.name}: has no FER+ votes; put fer2013new.csv (github.com/microsoft/"
                "FERPlus) beside fer2013.csv, or use fer2013.npz with ferplus_votes"
            )
        return _by_majority(self, self.faces.votes)


@dataclass(frozen=True)
class Relabelled(Dataset):
    """Those faces of a dataset that another label set has a label for."""

    source: Dataset
    rows: NDArray[np.intp]
    """(N,) of each face in `source`."""

    def rows_in(self, whole: Dataset, usage: Usage) -> NDArray[np.intp]:
        """Return where the faces of a part are in that part of `source`, or of these faces."""
        if whole is self:
            return super().rows_in(whole, usage)
        places = np.flatnonzero(whole.usage == usage)
        return np.asarray(np.searchsorted(places, self.rows[self.usage == usage]), np.intp)

    @cached_property
    def fingerprint(self) -> str:
        """That of `source`: a run that learned both label sets is measured on either."""
        return self.source.fingerprint

    @cached_property
    def leak_free(self) -> NDArray[np.bool_]:
        """(n PrivateTest,) False where the Training of `source` holds a copy or near-copy."""
        kept = np.zeros(len(self.source.faces), bool)
        kept[self.rows] = True
        of_private = kept[self.source.usage == Usage.PrivateTest]
        return np.asarray(self.source.leak_free[of_private], np.bool_)

    def with_labels(self, name: str) -> Dataset:
        """Return the faces of `source` under a label set, `source` itself under its own."""
        return self if label_set(name) == self.labels else self.source.with_labels(name)


def _by_majority(dataset: Dataset, votes: NDArray[np.uint8]) -> Relabelled:
    labels = majority(votes)
    rows = np.flatnonzero(labels >= 0)
    faces = Faces(dataset.faces.images[rows], labels[rows], votes[rows])
    name = f"{dataset.name}, FER+ majority"
    return Relabelled(name, FERPLUS, faces, dataset.usage[rows], dataset, rows, split=dataset.split)


def majority(votes: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Turn FER+ votes (N, 10) into labels (N,): indices into `FERPLUS`, -1 for none.

    Of our FER2013 that keeps 25,057 / 3,199 / 3,152 images.
    """
    best = majority_column(votes)
    return np.where(best < len(FERPLUS), best, -1).astype(np.int8)


def plurality(votes: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Turn FER+ votes (N, 10) into labels (N,) that have more votes than any other, -1 for none.

    The wider of the two rules that figures on FER+ are told by: 3,375 images of PrivateTest,
    not 3,152.
    """
    ordered = np.sort(votes, 1)
    clear = (ordered[:, -1] > ordered[:, -2]) & (votes.argmax(1) < len(FERPLUS))
    return np.where(clear, votes.argmax(1), -1).astype(np.int8)


def majority_column(votes: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the column (N,) of FER+ votes (N, 10) that has the majority, -1 for none.

    Single votes are taken for slips and left out; a majority is more than half of the rest.

    Source: Barsoum et al. 2016, as microsoft/FERPlus implements its mode "majority"
    (src/ferplus.py).
    """
    counted = np.where(votes > 1, votes, 0).astype(np.int16)
    clear = 2 * counted.max(1) > counted.sum(1)
    return np.where(clear, counted.argmax(1), -1).astype(np.int8)


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
