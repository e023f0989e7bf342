"""One host, from a first look to a release that counts or is undone."""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from edgefer.errors import CommandFailed, EdgeferError, HostUnreachable
from edgefer_device.deploy import preflight, program
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.plan import Plan, change, plan
from edgefer_device.deploy.release_builder import make_release
from edgefer_device.deploy.spec import HOME, DeploySpec, Result
from edgefer_device.deploy.staging import GUARD
from edgefer_device.deploy.targets import BROKER, KIOSK
from edgefer_device.deploy.tuning import tune

Connect = Callable[[], AbstractContextManager[Remote]]
"""Opens a connection to the host."""
RETRIES, PAUSE = 12, 5.0
"""How often, and after how many seconds, a host is looked for that vanished while it switched."""


def deploy(host: str, connect: Connect, spec: DeploySpec, dry_run: bool, report: Report) -> Result:
    """Bring an order to a host; whatever goes wrong is told in the result."""
    began = time.monotonic()
    try:
        done = _deploy(host, connect, spec, dry_run, report)
    except EdgeferError as exc:
        text = str(exc).removeprefix(f"{host}: ")
        done = Result(host, "failed", text)
    seconds = round(time.monotonic() - began, 1)
    return Result(done.host, done.status, done.detail, done.changes, seconds)


def _deploy(host: str, connect: Connect, spec: DeploySpec, dry_run: bool, report: Report) -> Result:
    token = uuid.uuid4().hex
    with connect() as remote:
        report("looking at it")
        packages = packages_of(spec)
        machine = preflight.look(remote, packages)
        preflight.require(machine, spec.target, host, new=False)
        found = plan(remote, spec, machine, host)
        preflight.require(machine, spec.target, host, new=not found.made)
        for line in found.notes:
            report(line)
        if dry_run or not found.changes:
            detail, changes = f"{found.running or 'nothing'} runs", tuple(found.changes)
            return Result(host, "would change" if changes else "unchanged", detail, changes)
        with locked(remote):
            # Whoever deployed in between may have changed what was looked at.
            found = plan(remote, spec, preflight.look(remote, packages), host)
            _prepare(remote, spec, found, report)
            _stage(remote, spec, host, report)
            program.tell(remote, ["start", token], "starting the switch")
            try:
                done = followed(remote, token, report)
            except HostUnreachable:
                report("vanished during the switch, which goes on without us; looking for it again")
                done = _found_again(connect, token, report)
            else:
                program.tell(remote, ["prune"], "letting old releases go")
    return _result(host, found, done)


def packages_of(spec: DeploySpec) -> tuple[str, ...]:
    """Return Debian's packages that an order needs."""
    kiosk, broker = KIOSK if spec.kiosk else (), BROKER if spec.broker else ()
    return (*spec.target.packages, *kiosk, *broker)


@contextmanager
def locked(remote: Remote) -> Iterator[None]:
    """Hold the deployment's lock on a device; it ends with the connection, however that ends."""
    remote.send(program.packed(), program.PLACE, 0o755)
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    program.tell(remote, ["lock", who], "taking the lock")
    try:
        yield
    finally:
        with contextlib.suppress(EdgeferError):
            program.tell(remote, ["unlock"], "giving the lock back")


def _prepare(remote: Remote, spec: DeploySpec, found: Plan, report: Report) -> None:
    """Bring everything that is needed; nothing that runs is touched."""
    if found.missing:
        _install(remote, spec, found.missing, report)
    if remote.send(found.guard.content, GUARD, found.guard.mode):
        script = "systemctl daemon-reload; systemctl enable --quiet edgefer-release"
        remote.run(script, "having a cut switch undone at boot")
    if not found.made:
        make_release(remote, spec, found, report)
    if not found.tuned:
        tune(remote, found.release, report)
    if spec.broker:
        _open_broker(remote, found)


def _stage(remote: Remote, spec: DeploySpec, host: str, report: Report) -> None:
    """Bring what the switch is to put in place, in the light of all that was prepared."""
    found = plan(remote, spec, preflight.look(remote, packages_of(spec)), host)
    report("staging settings and units")
    staged = f"{HOME}/staged"
    remote.run(f"rm -rf {staged}; mkdir -p -m 700 {staged}", "making room for settings")
    for path in found.differing:
        remote.send(found.files[path].content, f"{staged}/files{path}", 0o600)
    listed = change(found, spec)
    # What is so already is not copied again, and need not be checked.
    listed["files"] = [file for file in listed["files"] if file["path"] in found.differing]
    remote.send(json.dumps(listed).encode(), f"{staged}/change.json", 0o600)


def _install(remote: Remote, spec: DeploySpec, missing: tuple[str, ...], report: Report) -> None:
    """Let apt install what is missing."""
    names = " ".join(missing)
    if spec.offline:
        raise CommandFailed(f"offline, and it lacks: {names}; run there: apt-get install", 1)
    report(f"installing {names}")
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120"
    script = f"{apt} update && {apt} install -y --no-install-recommends {names} >/dev/null"
    try:
        remote.run(script, f"installing {names}")
    except CommandFailed as exc:
        # Without a network it says `does not have a Release file`.
        raise CommandFailed(f"{exc}; is the device online?", exc.status) from exc


def _open_broker(remote: Remote, found: Plan) -> None:
    """Let a broker of the device's own have its password, where it has none yet, and start at
    each boot."""
    folder = f"{HOME}/releases/{found.release}/lib/python{found.python.dotted}/site-packages"
    install = f"sh {folder}/edgefer_device/firmware-config/common/install --password debian"
    remote.run(f"{install} && systemctl enable --quiet --now mosquitto", "preparing the broker")


def followed(remote: Remote, token: str, report: Report) -> dict[str, Any]:
    """Follow a switch to its end."""
    heard = program.without_json(report)
    return program.outcome(program.tell(remote, ["wait", token], "following the switch", heard))


def _found_again(connect: Connect, token: str, report: Report) -> dict[str, Any]:
    for attempt in range(1, RETRIES + 1):
        time.sleep(PAUSE)
        try:
            with connect() as remote:
                return followed(remote, token, report)
        except HostUnreachable:
            if attempt == RETRIES:
                raise
    raise AssertionError("unreachable")


def _result(host: str, found: Plan, done: dict[str, Any]) -> Result:
    changes = tuple(found.changes)
    if done["result"] == "committed":
        return Result(host, "deployed", f"{found.release} runs", changes)
    if done["result"] == "rolled back":
        return Result(host, "rolled back", f"{done['reason']}; {done['now']}", changes)
    running = found.running or "nothing"
    return Result(host, "failed", f"{done['reason']}; {running} runs as before", changes)
