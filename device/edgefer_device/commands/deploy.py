"""The verbs that reach devices over SSH: `deploy`, `rollback`, `releases`, `fleet`."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgefer.errors import EdgeferError
from edgefer.options import FOLDER, json_option

if TYPE_CHECKING:
    from edgefer_device.deploy.inventory import Access

TARGETS = click.Choice(["rpi", "rpi-coral", "jetson", "debian"])
Verb = TypeVar("Verb", bound=Callable[..., Any])


def _options(*options: Callable[[Any], Any]) -> Callable[[Verb], Verb]:
    """Return a decorator that adds options to a verb, in their order."""

    def add(verb: Verb) -> Verb:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return add


def access_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the options for logging in; the verb gets their `access`."""

    @_options(
        click.option("--key", type=FOLDER, help="Private key; else the agent, ~/.ssh/config."),
        click.option("--ask-password", is_flag=True, help="Ask for the SSH password."),
        click.option("--ask-sudo-password", is_flag=True, help="Ask for sudo's password."),
        click.option(
            "--accept-new-host-key", is_flag=True, help="Trust unknown host keys on first use."
        ),
    )
    @functools.wraps(verb)
    def with_access(
        *args: Any,
        key: Path | None,
        ask_password: bool,
        ask_sudo_password: bool,
        accept_new_host_key: bool,
        **options: Any,
    ) -> None:
        from edgefer_device.deploy.inventory import Access, read_password

        access = Access(
            key,
            read_password("EDGEFER_SSH_PASSWORD", "SSH password: ", ask_password),
            read_password("EDGEFER_SUDO_PASSWORD", "sudo password: ", ask_sudo_password),
            accept_new_host_key,
        )
        verb(*args, access=access, **options)

    return with_access


inventory_options = _options(
    click.option("--inventory", type=FOLDER, help="TOML file of hosts and groups; docs/deploy.md."),
    click.option("--group", "groups", multiple=True, help="Only this group of the inventory."),
)
host_option = click.option(
    "--host", "hosts", multiple=True, metavar="[USER@]HOST[:PORT]", help="May be repeated."
)


def _named(hosts: Sequence[str], inventory: Path | None, groups: Sequence[str]) -> tuple[str, ...]:
    """Return the given hosts, or those of an inventory."""
    from edgefer_device.deploy.inventory import read_inventory

    _require_one(hosts, inventory)
    return tuple(hosts if inventory is None else read_inventory(inventory).entries(groups))


def _require_one(hosts: Sequence[str], inventory: Path | None) -> None:
    if bool(hosts) == (inventory is not None):
        raise click.UsageError("name devices by --host, or an inventory by --inventory")


@click.command()
@click.option("--target", type=TARGETS, help="Kind of device; an inventory names it for its hosts.")
@host_option
@inventory_options
@click.option("--wave", type=click.IntRange(min=1), help="Hosts at a time; all by default.")
@click.option("--pause", type=click.FloatRange(min=0), help="Seconds between two waves.")
@click.option("--model", default="small", help="Bundle: a path, or a shipped one's name.")
@click.option("--settings", type=FOLDER, help="TOML file: keys of edgefer.toml to set there.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME=FILE", help="mqtt-password=FILE")
@click.option("--kiosk", is_flag=True, help="Show the page on the device's own screen.")
@click.option("--broker", is_flag=True, help="Install Mosquitto on the device, with a password.")
@click.option("--offline", is_flag=True, help="Send all wheels; the device fetches nothing.")
@click.option(
    "--wheel", "wheels", type=FOLDER, multiple=True, help="Wheel of edgefer or onnxruntime."
)
@click.option("--wheels", "wheelhouse", type=FOLDER, help="Where wheels are kept here.")
@click.option("--no-camera", is_flag=True, help="The device has no camera yet.")
@click.option("--tune", is_flag=True, help="Measure the fastest runtime there, and set it.")
@click.option("--deadline", default=60.0, help="Seconds to become healthy.")
@click.option("--watch", default=90.0, help="Seconds to stay healthy.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--log", "log_file", type=FOLDER, help="Log file.")
@access_options
def deploy(  # noqa: PLR0913 - one argument for each option
    *,
    target: str | None,
    hosts: tuple[str, ...],
    inventory: Path | None,
    groups: tuple[str, ...],
    wave: int | None,
    pause: float | None,
    model: str,
    settings: Path | None,
    secrets: tuple[str, ...],
    kiosk: bool,
    broker: bool,
    offline: bool,
    wheels: tuple[Path, ...],
    wheelhouse: Path | None,
    no_camera: bool,
    tune: bool,
    deadline: float,
    watch: float,
    dry_run: bool,
    log_file: Path | None,
    access: Access,
) -> None:
    """Deploy daemon, model and settings to devices over SSH.

    A device rolls back by itself what does not work there.
    """
    _require_one(hosts, inventory)
    if hosts and not target:
        raise click.UsageError("say what they are: --target rpi, rpi-coral, jetson or debian")
    from edgefer.settings import read_toml
    from edgefer_device.deploy import fleet
    from edgefer_device.deploy.host_pool import DeployLog
    from edgefer_device.deploy.inventory import Entry, Inventory, read_inventory

    given = Entry(
        target=target,
        model=model if hosts else None,
        kiosk=kiosk or None,
        broker=broker or None,
        camera=False if no_camera else None,
        settings=read_toml(settings) if settings else {},
    )
    held = read_inventory(inventory) if inventory else Inventory(hosts=dict.fromkeys(hosts, given))
    request = fleet.DeployRequest(
        hosts={host: given.over(entry) for host, entry in held.entries(groups).items()},
        access=access,
        model=model,
        secrets=fleet.read_secrets(secrets),
        wheels=wheels,
        wheelhouse=wheelhouse,
        wave=wave or held.wave,
        pause=held.pause if pause is None else pause,
        offline=offline,
        tune=tune,
        deadline=deadline,
        watch=watch,
        dry_run=dry_run,
    )
    with DeployLog(log_file) as log:
        results = fleet.deploy(request, log)
        fleet.show(results, log)
    _exit(all(result.ok for result in results))


@click.command()
@host_option
@inventory_options
@click.option("--to", "release", help="Release id; the previous one by default.")
@click.option("--watch", default=15.0, help="Seconds to stay healthy.")
@access_options
def rollback(
    *,
    hosts: tuple[str, ...],
    inventory: Path | None,
    groups: tuple[str, ...],
    release: str | None,
    watch: float,
    access: Access,
) -> None:
    """Go back to an earlier release with its settings."""
    from edgefer_device.deploy import fleet
    from edgefer_device.deploy.deployment import roll_back
    from edgefer_device.deploy.host_pool import DeployLog

    named = _named(hosts, inventory, groups)
    with DeployLog(None) as log:
        back = functools.partial(roll_back, release=release, watch=watch)
        results = fleet.on_each(named, access, log, back)
        fleet.show(results, log)
    _exit(all(result.ok for result in results))


@click.group()
def fleet() -> None:
    """Look after many devices at once."""


@fleet.command()
@host_option
@inventory_options
@json_option
@access_options
def releases(
    *,
    hosts: tuple[str, ...],
    inventory: Path | None,
    groups: tuple[str, ...],
    as_json: bool,
    access: Access,
) -> None:
    """List the releases of devices, and the last deployment."""
    from dataclasses import asdict

    from edgefer_device.deploy import deployment, fleet

    named, ok = _named(hosts, inventory, groups), True
    for host, connect in fleet.connections(named, access):
        try:
            found = deployment.releases(host, connect)
        except EdgeferError as exc:
            click.echo(f"edgefer: {exc}", err=True)
            ok = False
            continue
        table = json.dumps({"host": host, **asdict(found)})
        click.echo(table if as_json else "\n".join(deployment.describe(host, found)))
    _exit(ok)


@fleet.command()
@inventory_options
@click.option("--broker", metavar="mqtt://HOST[/TOPIC]", help="Read what a broker retains.")
@click.option("--seconds", default=2.0, help="How long to listen to the broker.")
@json_option
@access_options
def status(
    *,
    inventory: Path | None,
    groups: tuple[str, ...],
    broker: str | None,
    seconds: float,
    as_json: bool,
    access: Access,
) -> None:
    """Report every device; exit status 1 if one is degraded."""
    from edgefer.messages import to_json
    from edgefer_device.deploy import fleet, fleet_status

    if (inventory is None) == (broker is None):
        raise click.UsageError("name the devices' --inventory, or the --broker that knows them")
    if broker is not None:
        found = fleet_status.over_mqtt(broker, seconds)
    else:
        hosts = _named((), inventory, groups)
        found = fleet_status.over_ssh(fleet.connections(hosts, access))
    for line in map(to_json, found) if as_json else fleet_status.describe(found):
        click.echo(line)
    if not found:
        click.echo("edgefer: no device is known there", err=True)
    _exit(bool(found) and all(one.ok for one in found))


def _exit(ok: bool) -> None:
    if not ok:
        sys.exit(1)
