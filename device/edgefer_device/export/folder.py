"""An export as one folder: a web page, an app's or a microcontroller's files, a module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from edgefer.bundle import open_bundle
from edgefer.errors import SettingsError
from edgefer.files import atomic_folder
from edgefer_device.export import magicmirror, microcontroller, native, web

PLATFORMS = {"android": b"Android", "ios": b"iOS"}
"""With which the heading of an app's README ends."""


def export_web(model: str, out: Path) -> dict[str, bytes]:
    """Write the phone page to a folder; return its files by name.

    `model` is a bundle's path or a shipped one's name. Raises what `web_files` raises, and
    `SettingsError` for a folder that cannot be replaced.
    """
    files = web.web_files(open_bundle(model))
    write_folder(out, files, web.SERVICE)
    return files


def export_app(platform: Literal["android", "ios"], model: str, out: Path) -> dict[str, bytes]:
    """Write the files of a native app to a folder; return them by name.

    Raises `BundleError` without a mobile file, and `SettingsError` as `export_web` does.
    """
    files = native.native_files(open_bundle(model), platform)
    before = out / native.README
    heading = before.read_bytes().partition(b"\n")[0] if before.is_file() else None
    if heading is not None and not heading.endswith(PLATFORMS[platform]):
        raise SettingsError(f"{out}: is the export of another kind; choose another --out")
    write_folder(out, files, native.MARK)
    return files


def export_microcontroller(model: str, out: Path) -> dict[str, bytes]:
    """Write the model as a C array, and C around it, to a folder; return the files by name.

    Raises `BundleError` without an int8 file, and `SettingsError` as `export_web` does.
    """
    files = microcontroller.microcontroller_files(open_bundle(model))
    write_folder(out, files, microcontroller.MARK)
    return files


def export_magicmirror(out: Path) -> dict[str, bytes]:
    """Write the MagicMirror module to a folder; return its files, raise as `export_web` does."""
    files = magicmirror.module_files()
    write_folder(out, files, magicmirror.MARK)
    return files


def write_folder(out: Path, files: Mapping[str, bytes], mark: str) -> None:
    """Write files, by their paths below `out`; an older folder with the same `mark` is replaced.

    `mark` is a file that only this kind of folder has. Raises `SettingsError` where something
    else lies at `out`, or in it, or it cannot be written.
    """
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / mark).is_file())):
        raise SettingsError(
            f"{out}: exists and is no earlier export; choose another --out, or remove it"
        )
    held = [one.relative_to(out) for one in out.rglob("*") if not one.is_dir()]
    own = [one for one in held if str(one) not in files]
    if own:
        raise SettingsError(
            f"{out}: holds {own[0]}, which is no file of this export and would be lost; move it "
            "away, or choose another --out"
        )
    try:
        with atomic_folder(out) as folder:
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except OSError as exc:
        raise SettingsError(
            f"{out}: cannot be written: {exc.strerror or exc}; what was there before is unharmed"
        ) from exc
