"""Which hosts get what, in which waves."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgefer.cache import cache_folder
from edgefer.errors import SettingsError
from edgefer.settings import read_toml
from edgefer_device.deploy import artifacts, deployment
from edgefer_device.deploy.connection import Connection, Report
from edgefer_device.deploy.deploy_log import Log, Task, together
from edgefer_device.deploy.deployment import Connect
from edgefer_device.deploy.hosts import Access, parse_host
from edgefer_device.deploy.inventory import Entry, Inventory, over, read_inventory
from edgefer_device.deploy.model import Model, model_for
from edgefer_device.deploy.spec import DeploySpec, Result
from edgefer_device.deploy.targets import TARGETS


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What the command line asks of `edgefer deploy`."""

    hosts: Mapping[str, Entry]
    wave: int | None
    pause: float
    words: Mapping[str, Any]
    """The other options by name."""
    secrets: Mapping[str, bytes]
    access: Access

    @staticmethod
    def of(words: Mapping[str, Any], access: Access) -> DeployRequest:
        """Read what the options name; raise `SettingsError` before anything is connected."""
        given = Entry(
            target=words["target"],
            model=words["model"] if words["hosts"] else None,
            kiosk=words["kiosk"] or None,
            broker=words["broker"] or None,
            camera=False if words["no_camera"] else None,
            settings=read_toml(words["settings"]) if words["settings"] else {},
        )
        inventory = _inventory(words)
        hosts = {
            host: over(entry, given) for host, entry in inventory.named(words["groups"]).items()
        }
        for host in hosts:
            parse_host(host)
        pause = inventory.pause if words["pause"] is None else words["pause"]
        secrets = dict(map(_secret, words["secrets"]))
        return DeployRequest(hosts, words["wave"] or inventory.wave, pause, words, secrets, access)


def _inventory(words: Mapping[str, Any]) -> Inventory:
    if words["inventory"]:
        return read_inventory(words["inventory"])
    return Inventory(hosts=dict.fromkeys(words["hosts"], Entry()))


def _secret(named: str) -> tuple[str, bytes]:
    """Return the name and the content of `NAME=FILE`."""
    name, _, file = named.partition("=")
    if name not in ("mqtt-password", "mqtt.key") or not file:
        raise SettingsError(f"--secret {named}: expected mqtt-password=FILE or mqtt.key=FILE")
    try:
        return name, Path(file).read_bytes()
    except OSError as exc:
        raise SettingsError(f"--secret {named}: {exc.strerror}") from exc


def deploy(request: DeployRequest, log: Log) -> list[Result]:
    """Deploy wave by wave, with a pause after each that something was brought to; after a wave
    that failed, the rest is not tried."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgefer-")))
        own, onnx = artifacts.named_wheels(request.words["named"])
        specs = dict(_specs(request, artifacts.own_wheel(own, folder), onnx))
        results: list[Result] = []
        last: list[Result] = []
        for number, wave in enumerate(waves(list(specs), request.wave)):
            if results and not all(result.ok for result in results):
                results += [Result(host, "not tried", "a wave before failed") for host in wave]
                continue
            # What brought nothing new need not be waited for.
            if any(result.status == "deployed" for result in last):
                log.write("fleet", f"wave {number} is well; the next in {request.pause:g} s")
                time.sleep(request.pause)
            last = together([(host, _task(host, specs[host], request)) for host in wave], log)
            results += last
    return results


def waves(hosts: Sequence[str], size: int | None) -> Iterator[Sequence[str]]:
    """Yield hosts so many at a time."""
    step = size or len(hosts)
    for start in range(0, len(hosts), step):
        yield hosts[start : start + step]


def _task(host: str, spec: DeploySpec, request: DeployRequest) -> Task:
    connect = partial(Connection, parse_host(host), request.access)
    dry_run = request.words["dry_run"]
    return partial(deployment.deploy, host, connect, spec, dry_run)


def _specs(
    request: DeployRequest, wheel: Path, onnx: Path | None
) -> Iterator[tuple[str, DeploySpec]]:
    """Yield every host's order; a bundle that several get is opened once."""
    words, models = request.words, dict[tuple[str, str], Model]()
    for host, entry in request.hosts.items():
        target, name = TARGETS[entry.target or "debian"], entry.model or words["model"]
        if (target.name, name) not in models:
            models[target.name, name] = model_for(target, name)
        yield (
            host,
            DeploySpec(
                target=target,
                model=models[target.name, name],
                wheel=wheel,
                onnx=onnx,
                house=words["house"] or cache_folder() / "wheels",
                settings=entry.settings,
                secrets=request.secrets,
                kiosk=bool(entry.kiosk),
                broker=bool(entry.broker),
                offline=words["offline"],
                camera=entry.camera is not False,
                tune=words["tune"] or target.tune,
                deadline=words["deadline"],
                watch=words["watch"],
            ),
        )


def connections(hosts: Sequence[str], access: Access) -> list[tuple[str, Connect]]:
    """Return what opens each host; raise `SettingsError` for an address that is none."""
    return [(host, partial(Connection, parse_host(host), access)) for host in hosts]


def on_each(
    hosts: Sequence[str],
    access: Access,
    log: Log,
    work: Callable[[str, Connect, Report], Result],
) -> list[Result]:
    """Do the same on several hosts at once; `work` is a function or a `partial` of one."""
    opened = connections(hosts, access)
    return together([(host, partial(work, host, connect)) for host, connect in opened], log)
