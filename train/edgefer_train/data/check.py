"""What is wrong with a dataset, found before it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer.labels import FOLDERS
from edgefer_train.data.dataset import NO_FACE, Dataset, Relabelled, Usage, majority_column
from edgefer_train.data.findings import Check, Pair, Part, Place
from edgefer_train.data.near_duplicates import digests, find_near_duplicates
from edgefer_train.data.reading import Reading
from edgefer_train.data.sources import labels_in, read

NEARLY_CONSTANT = 2.0
"""Standard deviation, in grey levels, under which a image shows nothing. FER2013 has 13
below 1, and the next is at 4."""


def read_and_check(
    where: Path | None, labels: str | None = None, split: str | None = None
) -> tuple[Reading, Check]:
    """Read a dataset, leaving out what cannot be read, and check it.

    Without `labels` the set that it is stored with, without `split` its own parts, drawn
    ones where it has none. Raises `DatasetError` for data that cannot be used at all.
    """
    labels = labels_in(where) if labels is None else labels
    reading = read(where, labels, tolerant=True)
    if split is None:
        split = "72/8/20" if reading.usage is None else "official"
    return reading, check(reading, str(where), labels, split)


def check(reading: Reading, where: str, labels: str, split: str) -> Check:
    """Check a reading under a label set and a split."""
    whole = reading.dataset(split)
    dataset = whole if labels == FOLDERS else whole.with_labels(labels)
    found = _Finder(dataset, whole, reading.places)
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
    )


class _Finder:
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
