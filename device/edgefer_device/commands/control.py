"""The verbs that control a running daemon, through its control socket."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.options import config_option, json_option

if TYPE_CHECKING:
    from edgefer_device.daemon.status import Status

log = logging.getLogger(__name__)


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Show the running daemon's status.

    Exit status 1 if none runs or a part of it fails.
    """
    from edgefer.messages import to_json
    from edgefer_device.daemon.status import show

    status_now = _request(config, "status")
    if as_json:
        click.echo(to_json(status_now))
    else:
        show(status_now)
    if not status_now.ok:
        raise SystemExit(1)


@click.command()
@config_option
def pause(config: Path | None) -> None:
    """Close the camera until `edgefer resume`, over restarts too."""
    _request(config, "pause")
    log.info("paused: the camera is closed")


@click.command()
@config_option
def resume(config: Path | None) -> None:
    """Open the camera again after `edgefer pause`."""
    _request(config, "resume")
    log.info("resumed")


@click.command()
@config_option
def reload(config: Path | None) -> None:
    """Reload the daemon's configuration.

    An invalid one is refused in its log.
    """
    from edgefer_device.daemon.configuration import load_config

    if config is not None:
        load_config(config)  # an invalid one fails here, not only in the daemon's log
    _request(config, "reload")
    log.info("reloading")


@click.command()
@config_option
def restart(config: Path | None) -> None:
    """Restart the daemon."""
    _request(config, "restart")
    log.info("restarting")


def _request(config: Path | None, command: str) -> Status:
    """Send a command to the daemon of a configuration, else the user's own or the service's."""
    import msgspec

    from edgefer_device.daemon.configuration import Config, load_config
    from edgefer_device.daemon.control_socket import find_folders, request
    from edgefer_device.daemon.status import Status

    chosen = load_config(config) if config else Config()
    folders = find_folders(chosen.state, explicit=config is not None)
    return msgspec.convert(request(folders, command), Status)
