"""Files that are whole after a power cut: written beside, through to the disk, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file by its new content, or leave it as it was; its folder is made."""
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.part")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        # An old one that was left behind has its own mode, and umask took from a new one's.
        os.fchmod(file, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there, for good."""
    if path.exists() or path.is_symlink():
        path.unlink()
        sync_folder(path.parent)


def point(link: Path, target: str) -> None:
    """Let a symbolic link lead elsewhere, in one instant."""
    beside = link.with_name(f".{link.name}.part")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
    sync_folder(link.parent)


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Make a folder with those above it, each known to the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: fsync(2) of a file keeps its content."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def digest(path: Path) -> str | None:
    """Return a file's sha256, or None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the table in a JSON file; None where it is missing or no whole one."""
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return table if isinstance(table, dict) else None


def write_json(path: Path, table: dict[str, Any]) -> None:
    """Write a table as JSON, durably."""
    write(path, json.dumps(table, indent=1).encode() + b"\n")
