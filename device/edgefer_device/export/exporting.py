"""`edgefer deploy --target web|android|ios`: the model brought to phones, as a folder or a look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from edgefer.bundle import open_bundle
from edgefer.errors import SettingsError
from edgefer_device.export.folder import write_folder

TARGETS = ("web", "android", "ios")
DEFAULT_MODEL = "small"


def deploy_phone(target: str, model: str | None, out: Path | None, serve: bool) -> None:
    """Write the folder of a target to `out`, or serve the web page on loopback.

    `model` is a bundle's path or a shipped one's name, `small` without one. Raises
    `SettingsError` for what cannot be asked for, and what the folder's parts raise.
    """
    if target not in TARGETS:
        raise SettingsError(f"unknown target '{target}'; known: {', '.join(TARGETS)}")
    if serve and target != "web":
        raise SettingsError(f"--serve shows the page of --target web; {target} has none")
    if out is None and not serve:
        raise SettingsError(f"--target {target} wants --out DIR{_or_serve(target)}")
    files, mark = _web(model) if target == "web" else _native(model, target)
    if out is not None:
        write_folder(out, files, mark)
        _tell(out, files)
    if serve:
        from edgefer_device.export import serving

        serving.serve(files)


def _or_serve(target: str) -> str:
    return " or --serve" if target == "web" else ""


def _web(model: str | None) -> tuple[dict[str, bytes], str]:
    """Return the page's files, and the one that marks its folder."""
    from edgefer_device.export.web import SERVICE, web_files

    return web_files(open_bundle(model or DEFAULT_MODEL)), SERVICE


def _native(model: str | None, target: str) -> tuple[dict[str, bytes], str]:
    from edgefer_device.export.native import MARK, native_files

    return native_files(open_bundle(model or DEFAULT_MODEL), target), MARK


def _tell(out: Path, files: Mapping[str, bytes]) -> None:
    total = sum(map(len, files.values()))
    click.echo(f"{out}: {len(files)} files, {total:,} bytes")
