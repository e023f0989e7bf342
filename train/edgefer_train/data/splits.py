"""Splits of a dataset: its own parts, or a stratified draw of Training, PublicTest, PrivateTest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError, SettingsError
from edgefer_train.data.dataset import Dataset, Faces, Usage

Split = Literal["official", "72/8/20"]
"""The dataset's own parts, or a stratified draw of Training / PublicTest / PrivateTest."""

SPLITS: tuple[str, ...] = get_args(Split)

SEED = b"edgefer 72/8/20"
"""Salt of the draw. Another one would be another split."""

PUBLIC, PRIVATE = 0.08, 0.20
"""Shares of PublicTest and PrivateTest; the rest is Training."""


@dataclass(frozen=True)
class UnsplitDataset:
    """All faces of a dataset, and where each came from."""

    where: Path
    """The file or the folder."""
    name: str
    labels: tuple[str, ...]
    faces: Faces
    usage: NDArray[np.int8] | None
    """(N,) `Usage` of each face; None where the dataset has no parts of its own."""
    digests: Sequence[bytes]
    """(N,) of each image before it was resized to the side of `faces`."""
    places: Sequence[str]
    """(N,) the file or the row that holds each face."""
    unreadable: tuple[str, ...] = ()
    """A line for each file that could not be read and was left out."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Files that were left out for their ending, counted by it."""

    @property
    def own_split(self) -> str:
        """The parts that it has, else those that are drawn."""
        return "72/8/20" if self.usage is None else "official"

    def dataset(self, split: str) -> Dataset:
        """Return the faces with their own parts (`official`) or drawn ones (`72/8/20`).

        Of own parts without PublicTest every tenth Training image is held out. Raises
        `DatasetError` where the parts are missing, `SettingsError` for another split.
        """
        require_split(split)
        if split == "official":
            return self._official()
        names = [f"{self.where}: class '{label}'" for label in self.labels]
        usage = stratified_split(self.digests, self.faces.labels, names)
        return Dataset(f"{self.name}, {split}", self.labels, self.faces, usage, split=split)

    def _official(self) -> Dataset:
        if self.usage is None:
            raise DatasetError(
                f"{self.where}: has no parts of its own (folders train/, val/ and test/); "
                "draw them with --split 72/8/20"
            )
        usage = held_out(self.usage)
        for part in Usage:
            if part not in usage:
                raise DatasetError(
                    f"{self.where}: has no {part.name} images; use the complete dataset, or "
                    "draw its parts with --split 72/8/20"
                )
        return Dataset(self.name, self.labels, self.faces, usage)


def require_split(name: str) -> None:
    """Raise `SettingsError` unless there is such a split."""
    if name not in SPLITS:
        raise SettingsError(f"unknown split '{name}'; known: {', '.join(SPLITS)}")


def stratified_split(
    digests: Sequence[bytes], labels: NDArray[np.integer], names: Sequence[str]
) -> NDArray[np.int8]:
    """Return the `Usage` (N,) of each face by a draw of 72/8/20 within each label.

    Faces with the same digest, identical images that is, come into one part. The draw
    hashes the images themselves, so that it is the same for whatever form, side and
    order they are read in, and with any version of NumPy. Raises `DatasetError` for a
    label, called as in `names`, with fewer than three different images, one for each part.
    """
    usage = np.full(len(digests), Usage.Training, np.int8)
    for label, groups in _groups(digests, labels):
        if len(groups) < len(Usage):
            raise DatasetError(
                f"{names[label]} has only {len(groups)} different images: "
                "--split 72/8/20 needs one for each of its three parts"
            )
        for part, group in zip(_parts([len(group) for group in groups]), groups, strict=True):
            usage[group] = part
    return usage


def held_out(usage: NDArray[np.int8]) -> NDArray[np.int8]:
    """Without PublicTest images, every tenth Training image is held out in their place."""
    if (usage == Usage.PublicTest).any():
        return usage
    usage = usage.copy()
    usage[np.flatnonzero(usage == Usage.Training)[::10]] = Usage.PublicTest
    return usage


def _groups(
    digests: Sequence[bytes], labels: NDArray[np.integer]
) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield each label and the rows of its images, identical ones together, in drawn order."""
    rows: dict[bytes, list[int]] = {}
    for row, digest in enumerate(digests):
        rows.setdefault(digest, []).append(row)
    order = sorted(rows, key=lambda digest: hashlib.blake2b(digest, key=SEED).digest())
    # Where identical images have several labels, the lowest decides, in whatever order.
    of = {digest: int(labels[rows[digest]].min()) for digest in order}
    for label, group in groupby(sorted(order, key=of.__getitem__), key=of.__getitem__):
        yield label, [rows[digest] for digest in group]


def _parts(sizes: Sequence[int]) -> Iterator[Usage]:
    """Yield the part of each of a label's groups: the first fill the two tests."""
    public, private = (max(1, round(share * sum(sizes))) for share in (PUBLIC, PRIVATE))
    for left, size in zip(range(len(sizes), 0, -1), sizes, strict=True):
        # However large a group is, one is left for each of the parts to come.
        if public > 0 and left > 2:
            public -= size
            yield Usage.PublicTest
        elif private > 0 and left > 1:
            private -= size
            yield Usage.PrivateTest
        else:
            yield Usage.Training
