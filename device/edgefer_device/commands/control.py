"""The verbs for a daemon that runs: they ask it at its door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.options import FOLDER, json_option

if TYPE_CHECKING:
    from edgefer_device.daemon.status import Status

config_option = click.option(
    "--config", type=FOLDER, help="The daemon's TOML file, which names its state folder."
)


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Say how the running daemon is; exit status 1 if none runs or a part of it is not well."""
    from edgefer.messages import to_json
    from edgefer_device.daemon.status import show

    told = _ask(config, "status")
    if as_json:
        click.echo(to_json(told))
    else:
        show(told)
    if not told.ok:
        raise SystemExit(1)


@click.command()
@config_option
def pause(config: Path | None) -> None:
    """Close the camera until `edgefer resume`, over restarts too."""
    _ask(config, "pause")
    click.echo("paused: the camera is closed", err=True)


@click.command()
@config_option
def resume(config: Path | None) -> None:
    """Open the camera again after `edgefer pause`."""
    _ask(config, "resume")
    click.echo("resumed", err=True)


@click.command()
@config_option
def reload(config: Path | None) -> None:
    """Have the configuration read again; a bad one is refused in the daemon's log."""
    from edgefer_device.daemon.configuration import load_config

    if config is not None:
        load_config(config)  # what can be refused here is said here
    _ask(config, "reload")
    click.echo("reloading", err=True)


@click.command()
@config_option
def restart(config: Path | None) -> None:
    """Start the daemon anew."""
    _ask(config, "restart")
    click.echo("restarting", err=True)


def _ask(config: Path | None, question: str) -> Status:
    """Ask the daemon that a configuration means, else the user's own or the service's."""
    import msgspec

    from edgefer_device.daemon.configuration import Config, load_config
    from edgefer_device.daemon.control_socket import ask, find_folder
    from edgefer_device.daemon.status import Status

    chosen = load_config(config) if config else Config()
    folder = find_folder(chosen.state, named=config is not None)
    return msgspec.convert(ask(folder, question), Status)
