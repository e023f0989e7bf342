"""Deploy to one host, from preflight to a committed release, and roll back."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import msgspec

from edgefer.errors import CommandFailed, EdgeferError, HostUnreachable
from edgefer_device.deploy import preflight
from edgefer_device.deploy.agent.layout import HOME
from edgefer_device.deploy.agent.messages import Outcome, Releases, to_json
from edgefer_device.deploy.agent_client import Agent
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.plan import Plan, change, plan
from edgefer_device.deploy.release_builder import make_release, tune
from edgefer_device.deploy.spec import DeploySpec, Result
from edgefer_device.deploy.staging import GUARD

Connect = Callable[[], AbstractContextManager[Remote]]
"""Opens a connection to the host."""
RETRIES, PAUSE = 12, 5.0
"""How often, and every how many seconds, a host is reconnected to that was lost in a switch."""


def deploy(host: str, connect: Connect, spec: DeploySpec, report: Report) -> Result:
    """Bring a spec to a host; every error is in the result."""
    return _timed(host, lambda: _deploy(host, connect, spec, report))


def roll_back(
    host: str, connect: Connect, report: Report, release: str | None, watch: float
) -> Result:
    """Go back to a release, or to the previous one; the same checks decide whether it counts."""
    return _timed(host, lambda: _roll_back(host, connect, report, release, watch))


def _timed(host: str, work: Callable[[], Result]) -> Result:
    began = time.monotonic()
    try:
        result = work()
    except EdgeferError as exc:
        result = Result(host, "failed", str(exc).removeprefix(f"{host}: "))
    return msgspec.structs.replace(result, seconds=round(time.monotonic() - began, 1))


def _deploy(host: str, connect: Connect, spec: DeploySpec, report: Report) -> Result:
    token = uuid.uuid4().hex
    with connect() as remote:
        report("looking at it")
        machine = preflight.inspect(remote, spec.packages, host)
        preflight.require(machine, spec.target, host, new=False)
        found = plan(remote, spec, machine, host)
        preflight.require(machine, spec.target, host, new=not found.made)
        for line in found.notes:
            report(line)
        if spec.request.dry_run or not found.changes:
            detail, changes = f"{found.running or 'nothing'} runs", tuple(found.changes)
            return Result(host, "would change" if changes else "unchanged", detail, changes)
        agent = Agent(remote, host)
        with agent.locked():
            # Whoever deployed in between may have changed what was looked at.
            found = plan(remote, spec, preflight.inspect(remote, spec.packages, host), host)
            _prepare(remote, spec, found, report)
            _stage(remote, spec, host, report)
            agent.start(token)
            try:
                outcome = agent.wait(token, report)
            except HostUnreachable:
                report("connection lost during the switch, which goes on; reconnecting")
                outcome = _reconnected(host, connect, token, report)
            else:
                agent.prune()
    return _result(host, found, outcome)


def _prepare(remote: Remote, spec: DeploySpec, found: Plan, report: Report) -> None:
    """Bring everything that is needed; nothing that runs is touched."""
    if found.missing:
        _install(remote, spec, found.missing, report)
    if remote.send(found.guard.content, GUARD, found.guard.mode):
        script = "systemctl daemon-reload; systemctl enable --quiet edgefer-release"
        remote.run(script, "enabling the recovery at boot")
    if not found.made:
        make_release(remote, spec, found, report)
    if not found.tuned:
        tune(remote, found.release, found.config.signed_by, report)
    if spec.entry.broker:
        _open_broker(remote, found)


def _stage(remote: Remote, spec: DeploySpec, host: str, report: Report) -> None:
    """Bring what the switch is to put in place, in the light of all that was prepared."""
    found = plan(remote, spec, preflight.inspect(remote, spec.packages, host), host)
    report("staging settings and units")
    staged = f"{HOME}/staged"
    remote.run(f"rm -rf {staged}; mkdir -p -m 700 {staged}", "making room for settings")
    for path in found.differing:
        remote.send(found.files[path].content, f"{staged}/files{path}", 0o600)
    whole = change(found, spec)
    # What is there already is not copied again, and need not be verified.
    listed = replace(whole, files=tuple(one for one in whole.files if one.path in found.differing))
    remote.send(to_json(listed).encode(), f"{staged}/change.json", 0o600)


def _install(remote: Remote, spec: DeploySpec, missing: tuple[str, ...], report: Report) -> None:
    """Install missing packages by apt."""
    names = " ".join(missing)
    if spec.request.offline:
        raise CommandFailed(f"offline, and it lacks: {names}; run there: apt-get install", 1)
    report(f"installing {names}")
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120"
    script = f"{apt} update && {apt} install -y --no-install-recommends {names} >/dev/null"
    try:
        remote.run(script, f"installing {names}")
    except CommandFailed as exc:
        # Without a network apt reports `does not have a Release file`.
        raise CommandFailed(f"{exc}; is the device online?", exc.status) from exc


def _open_broker(remote: Remote, found: Plan) -> None:
    """Give a broker on the device its password, where it has none yet, and start it at boot."""
    folder = f"{HOME}/releases/{found.release}/lib/python{found.pins.python.dotted}/site-packages"
    install = f"sh {folder}/edgefer_device/firmware-config/common/install --password debian"
    remote.run(f"{install} && systemctl enable --quiet --now mosquitto", "preparing the broker")


def _reconnected(host: str, connect: Connect, token: str, report: Report) -> Outcome:
    for _ in range(RETRIES):
        time.sleep(PAUSE)
        with contextlib.suppress(HostUnreachable), connect() as remote:
            return Agent(remote, host).wait(token, report)
    with connect() as remote:
        return Agent(remote, host).wait(token, report)


def _result(host: str, found: Plan, outcome: Outcome) -> Result:
    changes = tuple(found.changes)
    if outcome.result == "committed":
        return Result(host, "deployed", f"{found.release} runs", changes)
    if outcome.result == "rolled back":
        return Result(host, "rolled back", f"{outcome.reason}; {outcome.now}", changes)
    running = found.running or "nothing"
    return Result(host, "failed", f"{outcome.reason}; {running} runs as before", changes)


def _roll_back(
    host: str, connect: Connect, report: Report, release: str | None, watch: float
) -> Result:
    token = uuid.uuid4().hex
    with connect() as remote:
        agent = Agent(remote, host)
        agent.require()
        with agent.locked():
            agent.start_rollback(token, release, watch)
            outcome = agent.wait(token, report)
    if outcome.result == "committed":
        return Result(host, "deployed", f"{outcome.release} runs")
    back = outcome.result == "rolled back"
    return Result(host, "rolled back" if back else "failed", outcome.reason or "")


def releases(host: str, connect: Connect) -> Releases:
    """Return the releases of a device; raise `DeployError`."""
    with connect() as remote:
        return Agent(remote, host).releases()


def describe(host: str, found: Releases) -> list[str]:
    """Return a device's releases in lines, the running one marked."""
    lines = [host]
    for one in found.releases:
        mark = "*" if one.id == found.running else " "
        made = time.localtime(one.made) if one.made else None
        when = time.strftime("%Y-%m-%d %H:%M", made) if made else "by hand"
        lines.append(f"{mark} {one.id}  {when}  {one.model or ''}  {one.target or ''}")
    if found.pending:
        lines.append(f"  {found.pending} is not committed yet")
    if found.outcome and found.outcome.reason:
        lines.append(f"  last: {found.outcome.result}: {found.outcome.reason}")
    return lines
