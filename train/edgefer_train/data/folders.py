"""Reader of faces in folders: one a class, alone or within one a part.

- `happy/*.png`, `sad/*.png`, ...: no parts
- `train/happy/*.png`, `val/happy/*.png`, `test/happy/*.png`, ...: the dataset's own parts;
  files named PublicTest_* and PrivateTest_* (Kaggle's msambare/fer2013) keep theirs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefer.console import track
from edgefer.errors import DatasetError
from edgefer.files import IMAGE_SUFFIXES, files_in, is_image
from edgefer.labels import check_labels, spelled
from edgefer.preprocess import Preprocess
from edgefer_train.data import ferplus
from edgefer_train.data.dataset import Faces, Usage
from edgefer_train.data.files import read_grey
from edgefer_train.data.near_duplicates import digest
from edgefer_train.data.splits import UnsplitDataset

PARTS = {
    **dict.fromkeys(("train", "training"), Usage.Training),
    **dict.fromkeys(("val", "valid", "validation", "publictest"), Usage.PublicTest),
    **dict.fromkeys(("test", "testing", "privatetest"), Usage.PrivateTest),
}
"""Names of folders that hold a part, in any case."""

MOST_CLASSES = 127
"""What an int8 label can number."""


@dataclass(frozen=True)
class Found:
    """One file with the label and the part of its folders."""

    path: Path
    label: int
    usage: Usage | None
    """None where the dataset has no parts."""


def is_folders(where: Path) -> bool:
    """Whether a folder holds parts, or class folders with images directly in it."""
    return bool(_parts_of(where)) or any(
        is_image(path) for folder in _folders_of(where).values() for path in files_in(folder)
    )


def has_parts(where: Path) -> bool:
    """Return whether a folder holds parts, as train/ and test/."""
    return bool(_parts_of(where))


def classes_of(where: Path) -> tuple[str, ...]:
    """Return the sorted names of all class folders; raise `DatasetError` for fewer than two."""
    names = sorted({name for part in _roots(where).values() for name in _folders_of(part)})
    if len(names) < 2:
        only = f"one class, '{names[0]}'" if names else "no class"
        raise DatasetError(f"{where}: holds {only}; expected a folder for each of two or more")
    if len(names) > MOST_CLASSES:
        raise DatasetError(
            f"{where}: holds {len(names)} folders, expected one a class and at most {MOST_CLASSES}"
        )
    return tuple(names)


def read(where: Path, labels: tuple[str, ...] | None, side: int, tolerant: bool) -> UnsplitDataset:
    """Read the faces under `where`, each from its file to (side, side).

    `labels` are the classes to find, in their usual spellings too; None takes the sorted
    names of the folders. Raises `DatasetError` for a class without folder or images, and
    for a file that cannot be read unless `tolerant`: then it is left out and named.
    """
    names = classes_of(where) if labels is None else labels
    check_labels(names, str(where))
    listed = [one for usage, root in _roots(where).items()
             for one in _files_of(root, names, usage, labels is not None)]  # fmt: skip
    found = [one for one in listed if is_image(one.path)]
    skipped = Counter(one.path.suffix.lower() for one in listed if not is_image(one.path))
    kept, unreadable, resize = [], [], Preprocess(size=side).resize
    for one in track(found, "reading images"):
        try:
            grey = read_grey(one.path)
        except DatasetError as exc:
            if not tolerant:
                raise
            unreadable.append(str(exc))
        else:
            kept.append((one, resize(grey), digest(grey)))
    if not kept:
        raise DatasetError(f"{where}: none of its {len(found)} images can be read")
    files, images, digests = zip(*kept, strict=True)
    usage = [one.usage for one in files]
    own = None if None in usage else np.array(usage, np.int8)
    labels_of = np.array([one.label for one in files], np.int8)
    votes = ferplus.votes_by_name(where, [one.path.name for one in files])
    return UnsplitDataset(
        where=where,
        name=where.resolve().name,
        labels=names,
        faces=Faces(np.stack(images), labels_of, votes),
        usage=own,
        digests=digests,
        places=[str(one.path.relative_to(where)) for one in files],
        unreadable=tuple(unreadable),
        skipped=dict(skipped.most_common()),
    )


def _roots(where: Path) -> dict[Usage | None, Path]:
    """The folders that hold class folders, by their part."""
    parts = _parts_of(where)
    return {usage: parts[usage] for usage in Usage if usage in parts} if parts else {None: where}


def _parts_of(where: Path) -> dict[Usage, Path]:
    """The part folders; none unless Training is among them."""
    parts: dict[Usage, Path] = {}
    for name, folder in _folders_of(where).items():
        usage = PARTS.get(name.lower())
        if usage is None:
            continue
        if usage in parts:
            raise DatasetError(f"{folder}: the same part as {parts[usage].name}/; keep one of them")
        parts[usage] = folder
    return parts if Usage.Training in parts else {}


def _folders_of(where: Path) -> dict[str, Path]:
    if not where.is_dir():
        return {}
    folders = sorted(path for path in where.iterdir() if path.is_dir())
    # macOS adds __MACOSX to its archives.
    return {path.name: path for path in folders if not path.name.startswith((".", "__MACOSX"))}


def _files_of(
    root: Path, names: tuple[str, ...], usage: Usage | None, respell: bool
) -> Iterator[Found]:
    """Yield the files of one part, images and others, class by class."""
    folders = _by_class(root) if respell else _folders_of(root)
    for label, name in enumerate(names):
        if name not in folders:
            other = "; for classes of your own: --labels folders" if respell else ""
            raise DatasetError(
                f"{root / name}: no such folder; expected one for each class: "
                f"{', '.join(names)}{other}"
            )
        files = files_in(folders[name])
        if not any(map(is_image, files)):
            raise DatasetError(
                f"{folders[name]}: holds no images ({', '.join(IMAGE_SUFFIXES)}); "
                "a class cannot be empty"
            )
        for path in files:
            yield Found(path, label, _usage_of(path.name, usage))
    unknown = sorted(set(folders) - set(names))
    if unknown:
        raise DatasetError(
            f"{folders[unknown[0]]}: not one of the classes {', '.join(names)}; "
            "--labels folders takes all folders as they are named"
        )


def _by_class(root: Path) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for name, folder in _folders_of(root).items():
        before = folders.setdefault(spelled(name), folder)
        if before != folder:
            raise DatasetError(f"{folder}: the same class as {before.name}/; keep one of them")
    return folders


def _usage_of(name: str, folder: Usage | None) -> Usage | None:
    """The part in a file's name, else its folder's."""
    if folder is None:
        return None
    return next((usage for usage in Usage if name.startswith(f"{usage.name}_")), folder)
