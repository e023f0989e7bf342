"""A file that is put aside when it is full: FILE, FILE.1 (newer), FILE.2 (older)..."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from edgefer.files import write_atomic


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full, and how many full ones are kept beside it."""

    max_bytes: int
    keep: int

    def is_due(self, size: int, more: int) -> bool:
        """Whether a file of `size` bytes is to be put aside before `more` are written.

        A file never grows over the limit, unless one line alone is larger.
        """
        return size > 0 and size + more > self.max_bytes


def rotate(path: Path, keep: int) -> None:
    """Put a file aside and an empty one in its place; raises OSError and loses nothing then.

    The empty file is renamed over the full one, so that who opens the path finds one or
    the other and never nothing.
    """
    for number in range(keep - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            numbered(path, number).replace(numbered(path, number + 1))
    if keep:
        numbered(path, 1).unlink(missing_ok=True)
        _give_second_name(path, numbered(path, 1))
    write_atomic(path, b"")


def numbered(path: Path, number: int) -> Path:
    """Return the name of a file that was put aside; 1 is the newest."""
    return path.with_name(f"{path.name}.{number}")


def _give_second_name(path: Path, second: Path) -> None:
    try:
        os.link(path, second)
    except OSError:
        # FAT, as on a card's boot partition, has no second names.
        path.replace(second)
