"""A folder of files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgefer.errors import SettingsError
from edgefer.files import atomic_folder


def write_folder(out: Path, files: Mapping[str, bytes], mark: str) -> None:
    """Write files, by their paths below `out`; an older folder with the same `mark` is replaced.

    `mark` is a file that only this kind of folder has. Raises `SettingsError` where something
    else lies at `out`, or it cannot be written.
    """
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / mark).is_file())):
        raise SettingsError(f"{out}: is there already and not ours; choose another --out")
    try:
        with atomic_folder(out) as folder:
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except OSError as exc:
        raise SettingsError(
            f"{out}: could not be written: {exc.strerror or exc}; what was there before is unharmed"
        ) from exc
