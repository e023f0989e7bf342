"""What a check of a dataset found; the form of `check.json`."""

from __future__ import annotations

import msgspec

from edgefer.errors import DatasetError


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
                f"{self.where}: {files} cannot be read; mend or remove what is listed above"
            )
