"""The verbs that reach devices over SSH: `deploy`, `rollback` and `fleet`."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgefer.console import say
from edgefer.errors import EdgeferError
from edgefer.options import FILE, FOLDER, Number, grouped, json_option

if TYPE_CHECKING:
    from edgefer_device.deploy.card import Card
    from edgefer_device.deploy.inventory import Access, Entry, Inventory
    from edgefer_device.deploy.spec import DeployRequest

log = logging.getLogger(__name__)

Command = TypeVar("Command", bound=Callable[..., Any])

TARGETS = click.Choice(["rpi", "rpi-coral", "jetson", "debian"])

access_options = grouped(
    "access",
    "edgefer_device.commands.deploy:read_access",
    click.option("--key", type=FILE, help="Private key; default: the agent, ~/.ssh/config."),
    click.option("--ask-password", is_flag=True, help="Ask for the SSH password."),
    click.option("--ask-sudo-password", is_flag=True, help="Ask for sudo's password."),
    click.option(
        "--accept-new-host-key", is_flag=True, help="Trust unknown host keys on first use."
    ),
)
selection_options = grouped(
    "selection",
    "edgefer_device.commands.deploy:Selection",
    click.option(
        "--host", "hosts", multiple=True, metavar="[USER@]HOST[:PORT]", help="May be repeated."
    ),
    click.option("--inventory", type=FILE, help="TOML file of hosts and groups; docs/deploy.md."),
    click.option(
        "--group", "groups", multiple=True, metavar="NAME", help="Only this group of the inventory."
    ),
)


def watch_option(seconds: float) -> Callable[[Command], Command]:
    """Return the option for how long a new release is watched."""
    help = "Seconds to stay healthy."
    return click.option(
        "--watch", type=Number(min=0), default=seconds, show_default=True, help=help
    )


def read_access(
    key: Path | None, ask_password: bool, ask_sudo_password: bool, accept_new_host_key: bool
) -> Access:
    """Return how to log in, with passwords from the environment or the keyboard."""
    from edgefer_device.deploy.inventory import Access, read_password

    return Access(
        key,
        read_password("EDGEFER_SSH_PASSWORD", "SSH password: ", ask_password),
        read_password("EDGEFER_SUDO_PASSWORD", "sudo password: ", ask_sudo_password),
        accept_new_host_key,
    )


@dataclass(frozen=True)
class Selection:
    """The devices that a verb is for."""

    hosts: tuple[str, ...]
    inventory: Path | None
    groups: tuple[str, ...]
    """Of the inventory; all where none is named."""

    def __post_init__(self) -> None:
        if bool(self.hosts) == (self.inventory is not None):
            raise click.UsageError("name devices by --host, or an inventory by --inventory")

    def read(self) -> Inventory:
        """Return the inventory, or one of the named hosts."""
        from edgefer_device.deploy.inventory import Entry, Inventory, read_inventory

        if self.inventory is not None:
            return read_inventory(self.inventory)
        return Inventory(hosts=dict.fromkeys(self.hosts, Entry()))

    def names(self) -> tuple[str, ...]:
        """Return the addresses of the devices."""
        return tuple(self.read().entries(self.groups))


def read_entry(
    target: str | None, settings: Path | None, kiosk: bool, broker: bool, no_camera: bool
) -> Entry:
    """Return the options that go before those of an inventory."""
    from edgefer.settings import parse, read_toml
    from edgefer_device.daemon.configuration import Config
    from edgefer_device.deploy.inventory import Entry

    table = read_toml(settings) if settings else {}
    parse(table, Config, str(settings))  # before anything is connected
    return Entry(
        target=target,
        kiosk=kiosk or None,
        broker=broker or None,
        camera=False if no_camera else None,
        settings=table,
    )


def read_secrets(_: click.Context, __: click.Parameter, named: tuple[str, ...]) -> dict[str, bytes]:
    """Return the contents of `NAME=FILE` by name."""
    from edgefer_device.deploy import fleet

    return fleet.read_secrets(named)


@click.command()
@selection_options
@grouped(
    "entry",
    "edgefer_device.commands.deploy:read_entry",
    click.option("--target", type=TARGETS, help="Kind of device; an inventory names its hosts'."),
    click.option("--settings", type=FILE, help="TOML file: keys of edgefer.toml to set there."),
    click.option("--kiosk", is_flag=True, help="Show the page on the device's own screen."),
    click.option("--broker", is_flag=True, help="Install Mosquitto there, with a password."),
    click.option("--no-camera", is_flag=True, help="The device has no camera yet."),
)
@grouped(
    "request",
    "edgefer_device.deploy.spec:DeployRequest",
    click.option(
        "--model", metavar="BUNDLE", default="small", show_default=True, help="Model bundle."
    ),
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="NAME=FILE",
        callback=read_secrets,
        help="mqtt-password=FILE or mqtt.key=FILE.",
    ),
    click.option("--wave", type=click.IntRange(min=1), help="Hosts at a time; default: all."),
    click.option("--pause", type=Number(min=0), help="Seconds between two waves."),
    click.option("--offline", is_flag=True, help="Send all wheels; the device fetches nothing."),
    click.option(
        "--wheel", "wheels", type=FILE, multiple=True, help="Wheel of edgefer or onnxruntime."
    ),
    click.option("--wheels", "wheelhouse", type=FOLDER, help="Where wheels are kept here."),
    click.option("--tune", is_flag=True, help="Measure the fastest runtime there, and set it."),
    click.option(
        "--deadline",
        type=Number(min=1),
        default=60.0,
        show_default=True,
        help="Seconds to become healthy.",
    ),
    watch_option(90.0),
    click.option("--dry-run", is_flag=True, help="Only show what would change."),
)
@click.option("--log", "log_file", type=FILE, help="Log file.")
@access_options
def deploy(
    selection: Selection,
    entry: Entry,
    request: DeployRequest,
    log_file: Path | None,
    access: Access,
) -> None:
    """Deploy daemon, model and settings to devices over SSH.

    A device rolls back by itself what does not work there.
    """
    if selection.hosts and not entry.target:
        raise click.UsageError("say what they are: --target rpi, rpi-coral, jetson or debian")
    from edgefer_device.deploy import fleet
    from edgefer_device.deploy.host_pool import DeployLog

    inventory = selection.read()
    entries = inventory.entries(selection.groups)
    request = replace(
        request,
        hosts={host: entry.over(held) for host, held in entries.items()},
        access=access,
        wave=request.wave or inventory.wave,
        pause=inventory.pause if request.pause is None else request.pause,
    )
    with DeployLog(log_file) as deploy_log:
        results = fleet.deploy(request, deploy_log)
        fleet.show(results, deploy_log)
    _exit(all(result.ok for result in results))


@click.command()
@selection_options
@click.option("--to", "release", metavar="ID", help="Release; default: the previous one.")
@watch_option(15.0)
@access_options
def rollback(selection: Selection, release: str | None, watch: float, access: Access) -> None:
    """Roll devices back to an earlier release with its settings."""
    from edgefer_device.deploy import fleet
    from edgefer_device.deploy.deployment import roll_back
    from edgefer_device.deploy.host_pool import DeployLog

    with DeployLog(None) as deploy_log:
        back = functools.partial(roll_back, release=release, watch=watch)
        results = fleet.on_each(selection.names(), access, deploy_log, back)
        fleet.show(results, deploy_log)
    _exit(all(result.ok for result in results))


@click.group()
def fleet() -> None:
    """Prepare cards, and show the status and releases of devices."""


@fleet.command()
@selection_options
@json_option
@access_options
def releases(selection: Selection, as_json: bool, access: Access) -> None:
    """List the releases of devices, and the last deployment."""
    from edgefer_device.deploy import deployment, fleet

    ok = True
    for host, connect in fleet.connections(selection.names(), access):
        try:
            found = deployment.releases(host, connect)
        except EdgeferError as exc:
            log.error("%s", exc)
            ok = False
            continue
        table = json.dumps({"host": host, **asdict(found)})
        say(*([table] if as_json else deployment.describe(host, found)))
    _exit(ok)


@fleet.command()
@click.option("--inventory", type=FILE, help="TOML file of hosts and groups; docs/deploy.md.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="Only this group of it.")
@click.option("--broker", metavar="mqtt://HOST[/TOPIC]", help="Read what a broker retains.")
@click.option(
    "--seconds",
    type=Number(min=0.1),
    default=2.0,
    show_default=True,
    help="To listen to the broker.",
)
@json_option
@access_options
def status(
    inventory: Path | None,
    groups: tuple[str, ...],
    broker: str | None,
    seconds: float,
    as_json: bool,
    access: Access,
) -> None:
    """Show every device's status; exit status 1 if one fails."""
    from edgefer.messages import to_json
    from edgefer_device.deploy import fleet, fleet_status

    if (inventory is None) == (broker is None):
        raise click.UsageError("name the devices' --inventory, or the --broker that knows them")
    if broker is not None:
        found = fleet_status.over_mqtt(broker, seconds)
    else:
        hosts = Selection((), inventory, groups).names()
        found = fleet_status.over_ssh(fleet.connections(hosts, access))
    say(*(map(to_json, found) if as_json else fleet_status.describe(found)))
    if not found:
        log.warning("no device is known there")
    _exit(bool(found) and all(one.ok for one in found))


@fleet.command()
@click.option("--out", type=FOLDER, required=True, help="The card's boot partition, or a folder.")
@grouped(
    "wanted",
    "edgefer_device.deploy.card:read_card",
    click.option("--key", type=FILE, required=True, help="Public SSH key that may log in."),
    click.option("--name", default="mirror", show_default=True, help="Host name."),
    click.option("--timezone", default="Etc/UTC", show_default=True, help="As Europe/Berlin."),
    click.option("--wifi", metavar="NAME", help="Wi-Fi network; its password is asked for."),
    click.option("--country", default="DE", show_default=True, help="For the Wi-Fi's channels."),
    click.option("--broker", is_flag=True, help="Install Mosquitto there, with a password."),
)
@click.option("--wheel", type=FILE, help="Wheel of edgefer, where this is no checkout.")
def card(out: Path, wanted: Card, wheel: Path | None) -> None:
    """Prepare a Raspberry Pi's card that installs itself."""
    from tempfile import TemporaryDirectory

    from edgefer.files import cache_folder
    from edgefer_device.deploy.artifacts import own_wheel
    from edgefer_device.deploy.card import write_card

    with TemporaryDirectory(prefix="edgefer-") as folder:
        written = write_card(out, wanted, own_wheel(wheel, Path(folder)), cache_folder() / "wheels")
    say(f"{len(written)} files in {out}; put the card in: the first boot takes minutes")


def _exit(ok: bool) -> None:
    if not ok:
        sys.exit(1)
