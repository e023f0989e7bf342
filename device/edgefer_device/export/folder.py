"""An export as one folder: a web page, an app's or a microcontroller's files, a module."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from edgefer.bundle import open_bundle
from edgefer.errors import SettingsError
from edgefer.files import atomic_folder
from edgefer.messages import NOT_JSON, to_json
from edgefer_device.export import magicmirror, microcontroller, native, web

RECORD = "edgefer-export.json"
"""Says what an export wrote, so that a later one knows its own files from others'."""

Target = Literal["web", "android", "ios", "microcontroller", "magicmirror"]


class Record(msgspec.Struct, frozen=True):
    """What an export is of, and the SHA-256 of each of its files, by their paths."""

    target: Target
    files: dict[str, str]


def export_web(model: str, out: Path) -> dict[str, bytes]:
    """Write the phone page to a folder; return its files by name.

    `model` is a bundle's path or a shipped one's name. Raises what `web_files` raises, and
    `SettingsError` for a folder that cannot be replaced.
    """
    return write_folder(out, "web", web.web_files(open_bundle(model)))


def export_app(platform: Literal["android", "ios"], model: str, out: Path) -> dict[str, bytes]:
    """Write the files of a native app to a folder; return them by name.

    Raises `BundleError` without a mobile file, and `SettingsError` as `export_web` does.
    """
    return write_folder(out, platform, native.native_files(open_bundle(model), platform))


def export_microcontroller(model: str, out: Path) -> dict[str, bytes]:
    """Write the model as a C array, and C around it, to a folder; return the files by name.

    Raises `BundleError` without an int8 file, and `SettingsError` as `export_web` does.
    """
    files = microcontroller.microcontroller_files(open_bundle(model))
    return write_folder(out, "microcontroller", files)


def export_magicmirror(out: Path) -> dict[str, bytes]:
    """Write the MagicMirror module to a folder; return its files, raise as `export_web` does."""
    return write_folder(out, "magicmirror", magicmirror.module_files())


def write_folder(out: Path, target: Target, files: dict[str, bytes]) -> dict[str, bytes]:
    """Write files, by their paths below `out`, and return them.

    Those of an earlier export of the same kind are replaced; what others put beside them, as
    `npm install` does, stays. Raises `SettingsError` where something else lies at `out`, where
    a file would be lost, or where it cannot be written.
    """
    record = Record(target, {name: sha256(content).hexdigest() for name, content in files.items()})
    try:
        kept = _files_of_others(out, target)
        lost = [name for name in kept if name in files]
        if lost:
            raise SettingsError(
                f"{out}: holds {lost[0]}, which was changed since the last export and would be "
                "lost; move it away, or choose another --out"
            )
        with atomic_folder(out) as folder:
            for name in kept:
                if (out / name).is_dir() and not (out / name).is_symlink():
                    (folder / name).mkdir(parents=True)
                else:
                    shutil.copy2(out / name, _place(folder, name), follow_symlinks=False)
            for name, content in (files | {RECORD: to_json(record).encode()}).items():
                _place(folder, name).write_bytes(content)
    except OSError as exc:
        raise SettingsError(
            f"{out}: cannot be written: {exc.strerror or exc}; what was there before is unharmed"
        ) from exc
    return files


def _files_of_others(out: Path, target: Target) -> list[str]:
    """Return the paths below `out` of what the earlier export did not write as it is now.

    Empty folders are among them.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return []
    try:
        record = msgspec.json.decode((out / RECORD).read_bytes(), type=Record)
    except (OSError, *NOT_JSON) as exc:
        raise SettingsError(
            f"{out}: exists and is no earlier export; choose another --out, or remove it"
        ) from exc
    if record.target != target:
        raise SettingsError(f"{out}: is the export of {record.target}; choose another --out")
    names = [one.relative_to(out).as_posix() for one in out.rglob("*") if _is_leaf(one)]
    return [name for name in names if name != RECORD and not _is_own(out / name, name, record)]


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir() or not any(path.iterdir())


def _is_own(path: Path, name: str, record: Record) -> bool:
    if name not in record.files or not path.is_file() or path.is_symlink():
        return False
    return sha256(path.read_bytes()).hexdigest() == record.files[name]


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
