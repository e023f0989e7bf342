"""`edgefer export`: a model made ready for what is no Linux machine, and a MagicMirror module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from edgefer.console import say
from edgefer.options import FOLDER

model_option = click.option(
    "--model", default="small", show_default=True, help="Bundle: a path, or a shipped one's name."
)
out_option = click.option("--out", type=FOLDER, required=True, help="Folder to write.")


@click.group()
def export() -> None:
    """Export for phones, microcontrollers and MagicMirror."""


@export.command("web")
@model_option
@click.option("--out", type=FOLDER, help="Folder to write.")
@click.option("--serve", is_flag=True, help="Serve the page on this machine.")
def web_page(model: str, out: Path | None, serve: bool) -> None:
    """Write the phone page as a folder, or serve it."""
    from edgefer.bundle import open_bundle
    from edgefer_device.export import folder, web

    if out is None and not serve:
        raise click.UsageError("nothing to do: expected --out FOLDER or --serve")
    files = folder.export_web(model, out) if out else web.web_files(open_bundle(model))
    if out is not None:
        _summarize(out, files)
    if serve:
        web.serve(files)


@export.command()
@model_option
@out_option
def android(model: str, out: Path) -> None:
    """Write the model and Kotlin code for an app."""
    from edgefer_device.export.folder import export_app

    _summarize(out, export_app("android", model, out))


@export.command()
@model_option
@out_option
def ios(model: str, out: Path) -> None:
    """Write the model and Swift code for an app."""
    from edgefer_device.export.folder import export_app

    _summarize(out, export_app("ios", model, out))


@export.command()
@model_option
@out_option
def microcontroller(model: str, out: Path) -> None:
    """Write the model and its preprocessing in C."""
    from edgefer_device.export.folder import export_microcontroller

    _summarize(out, export_microcontroller(model, out))


@export.command("magicmirror")
@out_option
def magicmirror_module(out: Path) -> None:
    """Write the module MMM-Edgefer for MagicMirror."""
    from edgefer_device.export.folder import export_magicmirror

    _summarize(out, export_magicmirror(out))


def _summarize(out: Path, files: Mapping[str, bytes]) -> None:
    say(f"{out}: {len(files)} files, {sum(map(len, files.values())):,} bytes")
