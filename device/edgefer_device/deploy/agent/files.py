"""Files that are whole after a power cut, and those outside of a release that change with it.

edgefer's own writer (`edgefer.files`) is not there yet when the agent runs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .layout import Layout, Refused
from .messages import File, Message, from_json, to_json


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file through to the disk, or leave it as it was; its folder is made."""
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        # A part left behind has its own mode, and umask took from a new one's.
        os.fchmod(file, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_message(path: Path, message: Any) -> None:
    """Write a message as JSON, durably."""
    write(path, to_json(message).encode() + b"\n")


def read_message(path: Path, kind: type[Message]) -> Message | None:
    """Return the message in a file; None where it is missing or not whole."""
    try:
        return from_json(kind, path.read_bytes())
    except (OSError, ValueError):
        return None


def remove(path: Path) -> None:
    """Remove a file if it is there, durably."""
    if path.exists() or path.is_symlink():
        path.unlink()
        sync_folder(path.parent)


def link(path: Path, target: str) -> None:
    """Point a symbolic link elsewhere, atomically and durably."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Make a folder with those above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: fsync(2) of a file covers its content."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def discard(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def digest(path: Path) -> str | None:
    """Return a file's sha256, or None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def source(folder: Path, file: File) -> Path:
    """Return where the content of a file lies in a folder that mirrors the device."""
    return folder / "files" / file.path.lstrip("/")


def present(layout: Layout, path: str) -> File:
    """Return a file as it is on the device now."""
    place = layout.resolve(path)
    found = digest(place)
    return File(path, 0 if found is None else place.stat().st_mode & 0o7777, found)


def differing(layout: Layout, files: Iterable[File]) -> list[File]:
    """Return those files that are different on the device, or missing."""
    return [file for file in files if present(layout, file.path) != file]


def verify(folder: Path, files: Iterable[File]) -> None:
    """Raise `Refused` unless a folder holds the contents of all files."""
    for file in files:
        if file.sha256 is not None and digest(source(folder, file)) != file.sha256:
            raise Refused(f"{file.path}: was not copied whole to {folder}; deploy again")


def back_up(layout: Layout, paths: Iterable[str], folder: Path) -> tuple[File, ...]:
    """Copy files of the device into a folder, durably; return them as they are now."""
    files = tuple(present(layout, path) for path in paths)
    for file in files:
        if file.sha256 is not None:
            write(source(folder, file), layout.resolve(file.path).read_bytes(), 0o600)
    return files


def install(layout: Layout, files: Iterable[File], folder: Path) -> None:
    """Put files from a folder in their places; those that are there already stay untouched."""
    for file in differing(layout, files):
        place = layout.resolve(file.path)
        if file.sha256 is None:
            remove(place)
        else:
            write(place, source(folder, file).read_bytes(), file.mode)
