"""Check of a dataset before it is trained on: its findings, and how they are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer_train.data.dataset import NO_FACE, Dataset, Relabelled, Usage, majority_column
from edgefer_train.data.near_duplicates import digests, find_near_duplicates
from edgefer_train.data.sources import labels_in, read
from edgefer_train.data.splits import UnsplitDataset

NEARLY_CONSTANT = 2.0
"""Standard deviation, in grey levels, under which an image shows nothing. FER2013 has 13
below 1, and the next is at 4."""


class Place(msgspec.Struct, frozen=True):
    """One image and where to find it."""

    row: int
    """Of the dataset as it is read, from 0."""
    where: str
    """The file, within the dataset's folder; or the row again."""
    part: str
    label: str | None
    """None where the label set has none for it."""


class Pair(msgspec.Struct, frozen=True):
    """A image that repeats another."""

    image: Place
    other: Place
    correlation: float
    """Of their 16x16 thumbnails; 1 for identical ones."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a dataset: what it holds and what is wrong with it."""

    labels: dict[str, int]
    """Images of each label."""
    imbalance: float | None
    """Images of the largest class for each of the smallest; None where one has none."""
    constant: tuple[Place, ...]
    """Of (nearly) one grey level."""
    repeated: tuple[Pair, ...]
    """Identical to an earlier one of the same part."""
    copies: tuple[Pair, ...] | None
    """Identical to one of Training, whether that has a label or not; None for Training."""
    near_copies: tuple[Pair, ...] | None
    """Nearly so, see `near_duplicates.NEAR_COPY`; None for Training."""
    no_face: tuple[Place, ...] | None
    """By FER+'s majority; None where there are no votes."""
    without_votes: tuple[Place, ...] | None
    left_out: int
    """Images that the label set has no label for; the two fields above count them too."""

    @property
    def images(self) -> int:
        """How many have a label."""
        return sum(self.labels.values())

    @property
    def leaks(self) -> int:
        """How many have a copy or near-copy in Training."""
        return len(self.copies or ()) + len(self.near_copies or ())


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """All findings; `check.json`."""

    where: str
    dataset: str
    label_set: str
    labels: tuple[str, ...]
    split: str
    fingerprint: str
    """sha256 of the dataset, as a run records it."""
    parts: dict[str, Part]
    conflicts: tuple[tuple[Place, ...], ...]
    """Groups of identical images with more than one label."""
    unreadable: tuple[str, ...]
    """A line for each file that cannot be read."""
    skipped: dict[str, int]
    """Files left out for their ending, counted by it."""

    @property
    def images(self) -> int:
        """How many have a label, in all parts."""
        return sum(part.images for part in self.parts.values())

    def require_usable(self) -> None:
        """Raise `DatasetError` where a training would be refused: a file cannot be read."""
        if self.unreadable:
            count = len(self.unreadable)
            files = "1 file" if count == 1 else f"{count:,} files"
            raise DatasetError(
                f"{self.where}: {files} cannot be read; fix or remove what is listed above"
            )


def read_and_check(
    where: Path | None, labels: str | None = None, split: str | None = None
) -> tuple[UnsplitDataset, Check]:
    """Read a dataset, leaving out what cannot be read, and check it.

    Without `labels` the set that it is stored with, without `split` its own parts, drawn
    ones where it has none. Raises `DatasetError` for data that cannot be used at all.
    """
    labels = labels_in(where) if labels is None else labels
    reading = read(where, labels, tolerant=True)
    return reading, check(reading, str(where), labels, split or reading.own_split)


def check(reading: UnsplitDataset, where: str, labels: str, split: str) -> Check:
    """Check a reading under a label set and a split."""
    whole = reading.dataset(split)
    dataset = whole.with_labels(labels)
    found = _Checker(dataset, whole, reading.places)
    return Check(
        where=where,
        dataset=dataset.name,
        label_set=labels,
        labels=dataset.labels,
        split=split,
        fingerprint=dataset.fingerprint,
        parts={usage.name: found.part(usage) for usage in Usage},
        conflicts=found.conflicts(),
        unreadable=reading.unreadable,
        skipped=dict(reading.skipped),
    )


class _Checker:
    """Looks through the faces of a dataset, and the votes of the whole that it is taken from."""

    def __init__(self, dataset: Dataset, whole: Dataset, places: Sequence[str]) -> None:
        self._dataset = dataset
        self._whole = whole
        self._places = places
        self._digests = digests(dataset.faces.images)
        self._rows = dataset.rows if isinstance(dataset, Relabelled) else np.arange(len(places))
        """Of each face of the dataset in the whole."""
        self._labels = np.full(len(places), -1)
        self._labels[self._rows] = dataset.faces.labels

    def part(self, usage: Usage) -> Part:
        rows = np.flatnonzero(self._dataset.usage == usage)
        counts = np.bincount(self._dataset.faces.labels[rows], minlength=len(self._dataset.labels))
        copies, near_copies = self._copies(usage, rows)
        return Part(
            labels=dict(zip(self._dataset.labels, counts.tolist(), strict=True)),
            imbalance=float(counts.max() / counts.min()) if counts.all() else None,
            constant=tuple(self._place(row) for row in rows.tolist() if self._shows_nothing(row)),
            repeated=self._repeated(rows),
            copies=copies,
            near_copies=near_copies,
            no_face=self._by_votes(usage, lambda votes: majority_column(votes) == NO_FACE),
            without_votes=self._by_votes(usage, lambda votes: votes.sum(1) == 0),
            left_out=int((self._whole.usage == usage).sum()) - len(rows),
        )

    def conflicts(self) -> tuple[tuple[Place, ...], ...]:
        groups: dict[bytes, list[int]] = {}
        for row, digest in enumerate(self._digests):
            groups.setdefault(digest, []).append(row)
        labels = self._dataset.faces.labels
        conflicting = (rows for rows in groups.values() if len(set(labels[rows])) > 1)
        return tuple(tuple(map(self._place, rows)) for rows in conflicting)

    def _shows_nothing(self, row: int) -> bool:
        return float(self._dataset.faces.images[row].std()) < NEARLY_CONSTANT

    def _copies(
        self, usage: Usage, rows: NDArray[np.intp]
    ) -> tuple[tuple[Pair, ...] | None, tuple[Pair, ...] | None]:
        """Those of a part that are identical to one of Training, and those nearly so."""
        if usage == Usage.Training:
            return None, None
        training = np.flatnonzero(self._whole.usage == Usage.Training)
        like = find_near_duplicates(
            self._dataset.faces.images[rows], self._whole.faces.images[training]
        )

        def pair(at: int) -> Pair:
            other = self._place_in_whole(int(training[like.nearest[at]]))
            correlation = 1.0 if like.exact[at] else round(float(like.correlation[at]), 4)
            return Pair(self._place(int(rows[at])), other, correlation)

        exact, near = (np.flatnonzero(which).tolist() for which in (like.exact, like.near))
        return tuple(map(pair, exact)), tuple(map(pair, near))

    def _repeated(self, rows: NDArray[np.intp]) -> tuple[Pair, ...]:
        first: dict[bytes, int] = {}
        pairs = ((row, first.setdefault(self._digests[row], row)) for row in rows.tolist())
        return tuple(
            Pair(self._place(row), self._place(before), 1.0)
            for row, before in pairs
            if row != before
        )

    def _by_votes(
        self, usage: Usage, chosen: Callable[[NDArray[np.uint8]], NDArray[np.bool_]]
    ) -> tuple[Place, ...] | None:
        votes = self._whole.faces.votes
        if votes is None:
            return None
        rows = np.flatnonzero(chosen(votes) & (self._whole.usage == usage))
        return tuple(map(self._place_in_whole, rows.tolist()))

    def _place(self, row: int) -> Place:
        """The place of a row of the dataset."""
        return self._place_in_whole(int(self._rows[row]))

    def _place_in_whole(self, row: int) -> Place:
        label = self._dataset.labels[self._labels[row]] if self._labels[row] >= 0 else None
        return Place(row, self._places[row], Usage(self._whole.usage[row]).name, label)
