"""Files outside of a release that change with it: put in place, kept, and brought back."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import durable
from .layout import Layout, Refused


@dataclass(frozen=True, slots=True)
class File:
    """A file of the device."""

    path: str
    """Where it goes, from /."""
    mode: int
    sha256: str | None
    """Of its content; None: there is to be no such file."""

    @staticmethod
    def read(table: dict[str, Any]) -> File:
        """Take it from JSON."""
        return File(str(table["path"]), int(table["mode"]), table["sha256"])

    def table(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


def source(folder: Path, file: File) -> Path:
    """Where the content of a file lies in a folder that mirrors the device."""
    return folder / "files" / file.path.lstrip("/")


def differing(layout: Layout, files: Iterable[File]) -> list[File]:
    """Return those that the device has not, or not so."""
    return [file for file in files if now(layout, file.path) != file]


def now(layout: Layout, path: str) -> File:
    """Return how a file is on the device now."""
    place = layout.there(path)
    found = durable.digest(place)
    return File(path, 0 if found is None else place.stat().st_mode & 0o7777, found)


def check(folder: Path, files: Iterable[File]) -> None:
    """Raise `Refused` unless a folder holds what its list says."""
    for file in files:
        if file.sha256 is not None and durable.digest(source(folder, file)) != file.sha256:
            raise Refused(f"{file.path}: was not copied whole to {folder}; deploy again")


def keep(layout: Layout, paths: Iterable[str], folder: Path) -> list[File]:
    """Copy files of the device, as they are now, into a folder, durably; return their list."""
    kept = []
    for path in paths:
        file = now(layout, path)
        if file.sha256 is not None:
            durable.write(source(folder, file), layout.there(path).read_bytes(), 0o600)
        kept.append(file)
    return kept


def put(layout: Layout, files: Iterable[File], folder: Path) -> None:
    """Bring files from a folder to their places; those that are so already stay untouched."""
    for file in differing(layout, files):
        place = layout.there(file.path)
        if file.sha256 is None:
            durable.remove(place)
        else:
            durable.write(place, source(folder, file).read_bytes(), file.mode)


def discard(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
