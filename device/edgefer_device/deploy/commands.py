"""The verb `deploy`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.options import FOLDER, model_option


@click.command()
@click.option("--target", type=click.Choice(["web", "android", "ios"]), required=True)
@model_option
@click.option("--out", type=FOLDER, help="Folder to write.")
@click.option("--serve", is_flag=True, help="Serve the page on this machine for a look.")
def deploy(target: str, model: str | None, out: Path | None, serve: bool) -> None:
    """Bring the model to a phone: a page that reads on the phone itself, or files for an app."""
    from edgefer_device.phone.deploying import deploy_phone

    deploy_phone(target, model, out, serve)
