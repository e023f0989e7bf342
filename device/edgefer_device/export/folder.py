"""A folder of files, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgefer.errors import SettingsError


def write_folder(out: Path, files: Mapping[str, bytes], mark: str) -> None:
    """Write files, by their paths below `out`; an older folder with the same `mark` is replaced.

    `mark` is a file that only this kind of folder has. Raises `SettingsError` where something
    else lies at `out`, or it cannot be written.
    """
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / mark).is_file())):
        raise SettingsError(f"{out}: is there already and not ours; choose another --out")
    beside = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        for name, content in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _replace(beside, out)
    except OSError as exc:
        raise SettingsError(
            f"{out}: could not be written: {exc.strerror or exc}; what was there before is unharmed"
        ) from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _replace(beside: Path, out: Path) -> None:
    """Put the new folder in place; an old one, which no rename replaces, steps aside."""
    aside = out.with_name(f".{out.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if out.is_dir():
        out.rename(aside)
    try:
        beside.rename(out)
    except OSError:
        if aside.is_dir():
            aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
