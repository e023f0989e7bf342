"""The verbs that reach devices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgefer.errors import EdgeferError
from edgefer.options import FOLDER, json_option

if TYPE_CHECKING:
    from edgefer_device.deploy.hosts import Access

TARGETS = click.Choice(["rpi", "rpi-coral", "jetson", "debian"])
Verb = TypeVar("Verb", bound=Callable[..., Any])


def _adding(*options: Callable[[Any], Any]) -> Callable[[Verb], Verb]:
    """Return what adds options to a verb, in their order."""

    def add(verb: Verb) -> Verb:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return add


access_options = _adding(
    click.option("--key", type=FOLDER, help="Private key; else the agent, ~/.ssh/config."),
    click.option("--ask-password", is_flag=True, help="Ask for the SSH password."),
    click.option("--ask-sudo-password", is_flag=True, help="Ask for sudo's password."),
    click.option(
        "--accept-new-host-key", is_flag=True, help="Trust unknown host keys on first use."
    ),
)
"""What opens the door of a host."""
inventory_options = _adding(
    click.option("--inventory", type=FOLDER, help="TOML file of hosts and groups; docs/deploy.md."),
    click.option("--group", "groups", multiple=True, help="Only this group of the inventory."),
)
host_option = click.option(
    "--host", "hosts", multiple=True, metavar="[USER@]HOST[:PORT]", help="May be repeated."
)


def access(words: dict[str, Any]) -> Access:
    """Return what the access options say."""
    from edgefer_device.deploy.hosts import Access

    return Access.asked(
        words["key"],
        words["ask_password"],
        words["ask_sudo_password"],
        words["accept_new_host_key"],
    )


def named_hosts(words: dict[str, Any]) -> tuple[str, ...]:
    """Return the hosts that are named, or those of an inventory."""
    from edgefer_device.deploy.inventory import read_inventory

    _require_one_way(words)
    return words["hosts"] or tuple(read_inventory(words["inventory"]).named(words["groups"]))


def _require_one_way(words: dict[str, Any]) -> None:
    if bool(words["hosts"]) == bool(words["inventory"]):
        raise click.UsageError("name devices by --host, or an inventory by --inventory")


@click.command()
@click.option("--target", type=TARGETS, help="What it is; an inventory tells it for its hosts.")
@host_option
@inventory_options
@click.option("--wave", type=click.IntRange(min=1), help="So many hosts at a time.")
@click.option("--pause", type=click.FloatRange(min=0), help="Seconds between two waves.")
@click.option("--model", default="small", help="Bundle: a path, or a shipped one's name.")
@click.option("--settings", type=FOLDER, help="TOML file: keys of edgefer.toml to set there.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME=FILE", help="mqtt-password=FILE")
@click.option("--kiosk", is_flag=True, help="Show the page on the device's own screen.")
@click.option("--broker", is_flag=True, help="Mosquitto on the device, with a password.")
@click.option("--offline", is_flag=True, help="The device fetches nothing: all comes from here.")
@click.option(
    "--wheel",
    "named",
    type=FOLDER,
    multiple=True,
    help="Edgefer's wheel, which of a checkout is built; or onnxruntime's, such as a Jetson's.",
)
@click.option("--wheels", "house", type=FOLDER, help="Where wheels are kept on this machine.")
@click.option("--no-camera", is_flag=True, help="The device has no camera yet.")
@click.option("--tune", is_flag=True, help="Measure there which runtime is fastest, and set it.")
@click.option("--deadline", default=60.0, help="Seconds after which a release must be well.")
@click.option("--watch", default=90.0, help="Seconds for which it must stay so.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--log", "log_file", type=FOLDER, help="Where to keep what was done.")
@access_options
def deploy(**words: Any) -> None:
    """Deploy daemon, model and settings to devices over SSH.

    A device rolls back by itself what does not work there.
    """
    _require_one_way(words)
    if words["hosts"] and not words["target"]:
        raise click.UsageError("say what they are: --target rpi, rpi-coral, jetson or debian")
    from edgefer_device.deploy import deploy_log, fleet

    with deploy_log.Log(words["log_file"]) as log:
        results = fleet.deploy(fleet.DeployRequest.of(words, access(words)), log)
        deploy_log.show(results, log)
    _end(all(result.ok for result in results))


@click.command()
@host_option
@inventory_options
@click.option("--to", "release", help="Its id; without, the one before.")
@click.option("--watch", default=15.0, help="Seconds for which it must stay well.")
@access_options
def rollback(release: str | None, watch: float, **words: Any) -> None:
    """Go back to an earlier release, with the settings and units that it ran with."""
    from edgefer_device.deploy import deploy_log, fleet
    from edgefer_device.deploy.rollback import roll_back

    hosts = named_hosts(words)
    with deploy_log.Log(None) as log:
        door = access(words)
        back = partial(roll_back, release=release, watch=watch)
        results = fleet.on_each(hosts, door, log, back)
        deploy_log.show(results, log)
    _end(all(result.ok for result in results))


@click.command()
@host_option
@inventory_options
@json_option
@access_options
def releases(as_json: bool, **words: Any) -> None:
    """List the releases of devices, and how the last deployment ended."""
    from edgefer_device.deploy import fleet, rollback

    hosts, well = named_hosts(words), True
    for name, connect in fleet.connections(hosts, access(words)):
        try:
            told = rollback.releases(name, connect)
        except EdgeferError as exc:
            click.echo(f"edgefer: {exc}", err=True)
            well = False
            continue
        shown = (
            json.dumps({"host": name, **told})
            if as_json
            else "\n".join(rollback.describe(name, told))
        )
        click.echo(shown)
    _end(well)


@click.group()
def fleet() -> None:
    """Look after many devices at once; `edgefer deploy --inventory` deploys to them."""


@fleet.command()
@inventory_options
@click.option("--broker", metavar="mqtt://HOST[/TOPIC]", help="Ask a broker of what it keeps.")
@click.option("--seconds", default=2.0, help="How long to listen to the broker.")
@json_option
@access_options
def status(
    inventory: Path | None,
    groups: tuple[str, ...],
    broker: str | None,
    seconds: float,
    as_json: bool,
    **words: Any,
) -> None:
    """Report how every device is; exit status 1 if one is not well."""
    from edgefer.messages import to_json
    from edgefer_device.deploy import fleet, fleet_status
    from edgefer_device.deploy.inventory import read_inventory

    if (inventory is None) == (broker is None):
        raise click.UsageError("name the devices' --inventory, or the --broker that knows them")
    if broker is not None:
        found = fleet_status.over_mqtt(broker, seconds)
    else:
        assert inventory is not None
        hosts = tuple(read_inventory(inventory).named(groups))
        found = fleet_status.over_ssh(fleet.connections(hosts, access(words)))
    for line in map(to_json, found) if as_json else fleet_status.describe(found):
        click.echo(line)
    if not found:
        click.echo("edgefer: no device is known there", err=True)
    _end(bool(found) and all(one.ok for one in found))


def _end(well: bool) -> None:
    if not well:
        sys.exit(1)
