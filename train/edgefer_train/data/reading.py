"""What was found in a dataset's folder, before its parts are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DatasetError
from edgefer_train.data.dataset import Dataset, Faces, Usage
from edgefer_train.data.splits import held_out, require_split, stratified_split


@dataclass(frozen=True)
class Reading:
    """All faces of a dataset, and where each came from."""

    where: Path
    """The file or the folder."""
    name: str
    labels: tuple[str, ...]
    faces: Faces
    usage: NDArray[np.int8] | None
    """(N,) `Usage` of each face; None where the dataset has no parts of its own."""
    digests: Sequence[bytes]
    """(N,) of each image as it was before it was brought to the side of `faces`."""
    places: Sequence[str]
    """(N,) the file or the row that holds each face."""
    unreadable: tuple[str, ...] = ()
    """A line for each file that could not be read and was left out."""

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
        return Dataset(f"{self.name}, {split}", self.labels, self.faces, usage)

    def _official(self) -> Dataset:
        if self.usage is None:
            raise DatasetError(
                f"{self.where}: has no parts of its own (folders train/, val/ and test/); "
                'draw them with split = "72/8/20"'
            )
        usage = held_out(self.usage)
        for part in Usage:
            if part not in usage:
                raise DatasetError(
                    f"{self.where}: has no {part.name} images; use the complete dataset, or "
                    'draw its parts with split = "72/8/20"'
                )
        return Dataset(self.name, self.labels, self.faces, usage)
