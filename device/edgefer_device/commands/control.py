"""The verbs that control a running daemon, through its control socket."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.options import Number, config_option, json_option

if TYPE_CHECKING:
    from edgefer_device.daemon.configuration import Config
    from edgefer_device.daemon.status import Status
    from edgefer_device.mood.own_calibration import OwnCalibration
    from edgefer_device.sinks.enrollment import EnrollmentState

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
        say(to_json(status_now))
    else:
        show(status_now)
    if not status_now.ok:
        raise SystemExit(1)


@click.command()
@config_option
def pause(config: Path | None) -> None:
    """Close the camera until `edgefer resume`, over restarts too."""
    status_now = _request(config, "pause")
    log.info("paused: the camera is closed")
    if status_now.volatility is not None:
        log.warning("%s", status_now.volatility)


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


@click.command()
@click.argument("looks", nargs=-1, metavar="[LABEL]...")
@config_option
@click.option(
    "--seconds", type=Number(1, 60), default=5.0, show_default=True, help="To hold each look."
)
@click.option("--show", is_flag=True, help="Print the calibration in force.")
@click.option("--remove", is_flag=True, help="Remove the calibration.")
@json_option
def enroll(
    looks: tuple[str, ...],
    config: Path | None,
    seconds: float,
    show: bool,
    remove: bool,
    as_json: bool,
) -> None:
    """Calibrate the model to your own faces.

    Asks for a few looks, for some seconds each: the usual ones, or LABELs in their order, which
    may repeat for a second person. Keeps no image, only what was fitted to the readings.
    """
    from edgefer.errors import EnrollmentError
    from edgefer.messages import to_json
    from edgefer_device.daemon.configuration import store_of
    from edgefer_device.daemon.control_socket import is_served, request
    from edgefer_device.daemon.enrolling import enroll_by_daemon, enroll_here, in_force
    from edgefer_device.mood.own_calibration import remove_calibration
    from edgefer_device.sinks.enrollment import EnrollmentRequest

    if (show or remove) and (looks or (show and remove)):
        raise click.UsageError("--show and --remove ask for no look: give them alone")
    chosen, folders = _daemon_of(config, warns=not show)
    daemon = next(filter(is_served, folders), None)
    folder = daemon or folders[0]
    if remove:
        there = request([daemon], "remove-calibration") if daemon else remove_calibration(folder)
        log.info("%s: %s", folder, "calibration removed" if there else "there is no calibration")
        return
    if show:
        # The daemon knows which model it runs.
        own = in_force(daemon) if daemon else store_of(chosen, folder).read()
        _show(own, folder, as_json)
        return
    words = Prompter()
    wanted = EnrollmentRequest(looks, seconds)
    if daemon:
        end = enroll_by_daemon(daemon, wanted, words.show)
    else:
        end = enroll_here(chosen, folder, wanted, words.show)
    line = words.line(str(end.outcome), end.note)
    if end.outcome not in ("stored", "no_gain"):
        raise EnrollmentError(line)
    say(to_json(end) if as_json else line)


def _show(own: OwnCalibration | None, folder: Path, as_json: bool) -> None:
    from edgefer.messages import to_json

    if own is None:
        log.info("%s: there is no calibration; edgefer enroll makes one", folder)
    elif as_json:
        say(to_json(own))
    else:
        say(*own.table())


class Prompter:
    """Says what is asked for, each thing once, in the mirror page's words."""

    def __init__(self) -> None:
        from edgefer_device.sinks.mirror.settings import FALLBACK, load_texts

        texts = load_texts(FALLBACK)
        self._words: dict[str, str] = texts["reasons"] | texts["enrollments"]
        self._said: tuple[object, ...] = ()

    def show(self, state: EnrollmentState) -> None:
        """Log what changed."""
        now = (state.number, state.share > 0, state.problem)
        if now[:2] != self._said[:2]:
            what = "hold it" if state.share else "get ready"
            log.info("%d of %d: %s, %s", state.number, state.count, state.look, what)
        if now != self._said and state.problem is not None:
            log.info("%s", self.line(state.problem))
        self._said = now

    def line(self, key: str, note: str = "") -> str:
        """Return an outcome or a problem in one line."""
        words = (self._words[key] or key).rstrip(".")
        return words[:1].lower() + words[1:] + (f": {note}" if note else "")


def _request(config: Path | None, command: str) -> Status:
    """Send a command to the daemon of a configuration, else the user's own or the service's."""
    import msgspec

    from edgefer_device.daemon.control_socket import request
    from edgefer_device.daemon.status import Status

    _, folders = _daemon_of(config, warns=command != "status")
    return msgspec.convert(request(folders, command), Status)


def _daemon_of(config: Path | None, warns: bool) -> tuple[Config, tuple[Path, ...]]:
    """Return the configuration, and the state folders of the daemons that may be meant.

    One that reads a clip comes last; where none is named, and it is the one, that is a warning.
    """
    from edgefer_device.daemon.configuration import Config, load_config
    from edgefer_device.daemon.control_socket import find_folders, is_served

    chosen = load_config(config) if config else Config()
    folders = find_folders(chosen.state, explicit=config is not None)
    if config is not None:
        return chosen, folders
    served = list(filter(is_served, folders))
    clips = {folder: clip for folder in served if (clip := _clip_of(folder))}
    folders = tuple(sorted(folders, key=clips.__contains__))
    first = next((folder for folder in folders if folder in served), None)
    if warns and first in clips:
        log.warning("this is for %s; --config names the daemon of another camera", clips[first])
    return chosen, folders


def _clip_of(folder: Path) -> str | None:
    """Return the address of the clip or images that the daemon of a state folder reads, or None."""
    import msgspec

    from edgefer.errors import ControlError
    from edgefer_device.daemon.control_socket import request
    from edgefer_device.daemon.status import Status

    try:
        camera = msgspec.convert(request([folder], "status"), Status).camera
    except (ControlError, msgspec.ValidationError):  # what it is asked for tells
        return None
    return camera if camera.startswith(("file:", "images:")) else None
