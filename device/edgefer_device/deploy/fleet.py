"""A deployment to many hosts, in waves."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from edgefer.console import say
from edgefer.errors import SettingsError
from edgefer_device.deploy import artifacts, deployment
from edgefer_device.deploy.connection import Connection, Report
from edgefer_device.deploy.deployment import Connect
from edgefer_device.deploy.host_pool import DeployLog, Task, run_on_hosts
from edgefer_device.deploy.inventory import Access, parse_host
from edgefer_device.deploy.spec import DeployRequest, DeploySpec, Result
from edgefer_device.deploy.targets import TARGETS, Model, model_for

COLOURS = {"deployed": "green", "unchanged": "green", "would change": "yellow"}


def read_secrets(named: Iterable[str]) -> dict[str, bytes]:
    """Return the contents of `NAME=FILE` by name; raise `SettingsError`."""
    secrets = {}
    for one in named:
        name, _, file = one.partition("=")
        if name not in ("mqtt-password", "mqtt.key") or not file:
            raise SettingsError(f"--secret {one}: expected mqtt-password=FILE or mqtt.key=FILE")
        try:
            secrets[name] = Path(file).read_bytes()
        except OSError as exc:
            raise SettingsError(f"--secret {one}: {exc.strerror}") from exc
    return secrets


def deploy(request: DeployRequest, log: DeployLog) -> list[Result]:
    """Deploy wave by wave; after a wave that failed, the rest is not tried.

    What cannot be used on this side raises `SettingsError` or `BundleError` before anything is
    connected.
    """
    pause = request.pause or 0.0
    opened = dict(connections(list(request.hosts), request.access))
    with tempfile.TemporaryDirectory(prefix="edgefer-") as folder:
        specs = dict(_specs(request, Path(folder)))
        results: list[Result] = []
        last: list[Result] = []
        for number, wave in enumerate(waves(list(specs), request.wave)):
            if results and not all(result.ok for result in results):
                results += [Result(host, "not tried", "a wave before failed") for host in wave]
                continue
            # What changed nothing need not be waited for.
            if any(result.status == "deployed" for result in last):
                log.write("fleet", f"wave {number} is ok; the next in {pause:g} s")
                time.sleep(pause)
            works = [partial(deployment.deploy, host, opened[host], specs[host]) for host in wave]
            last = _run(list(zip(wave, works, strict=True)), log)
            results += last
    return results


def waves(hosts: Sequence[str], size: int | None) -> Iterator[Sequence[str]]:
    """Yield hosts so many at a time."""
    step = size or len(hosts)
    for start in range(0, len(hosts), step):
        yield hosts[start : start + step]


def _specs(request: DeployRequest, folder: Path) -> Iterator[tuple[str, DeploySpec]]:
    """Yield each host's spec; a bundle that several get is opened once."""
    own, onnx = artifacts.named_wheels(request.wheels)
    wheel = artifacts.own_wheel(own, folder)
    models: dict[tuple[str, str], Model] = {}
    for host, entry in request.hosts.items():
        target, name = TARGETS[entry.target or "debian"], entry.model or request.model
        if (target.name, name) not in models:
            models[target.name, name] = model_for(target, name)
        yield host, DeploySpec(request, entry, target, models[target.name, name], wheel, onnx)


def connections(hosts: Sequence[str], access: Access) -> list[tuple[str, Connect]]:
    """Return what connects to each host; raise `SettingsError` for an invalid address."""
    return [(host, partial(Connection, parse_host(host), access)) for host in hosts]


def on_each(
    hosts: Sequence[str],
    access: Access,
    log: DeployLog,
    work: Callable[[str, Connect, Report], Result],
) -> list[Result]:
    """Run the same on several hosts at once; `work` is a function or a `partial` of one."""
    opened = connections(hosts, access)
    return _run([(host, partial(work, host, connect)) for host, connect in opened], log)


def _run(tasks: Sequence[tuple[str, Task[Result]]], log: DeployLog) -> list[Result]:
    results = run_on_hosts(tasks, log.write)
    for result in results:
        log.write(result.host, f"{result.status}: {result.detail}")
    return results


def show(results: Sequence[Result], log: DeployLog) -> None:
    """Print the results, host by host, on stdout."""
    widest = max(len(result.host) for result in results)
    for result in results:
        for change in result.changes if result.status == "would change" else ():
            say(f"{result.host:<{widest}}  would {change}")
        status = (f"{result.status:<12}", COLOURS.get(result.status, "red"))
        took = f"  ({result.seconds:.0f} s)" if result.seconds else ""
        say([f"{result.host:<{widest}}  ", status, f"  {result.detail}{took}"])
    if sys.stderr.isatty():
        say(f"log: {log.path}", err=True)
