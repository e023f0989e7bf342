"""Going back to an earlier release, and telling which there are."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from edgefer.errors import EdgeferError, HostRefused
from edgefer_device.deploy import program
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.deployment import Connect, followed, locked
from edgefer_device.deploy.spec import Result


def roll_back(
    host: str, connect: Connect, report: Report, release: str | None, watch: float
) -> Result:
    """Go back to a release, or to the last one; the same checks decide whether it counts."""
    began = time.monotonic()
    try:
        with connect() as remote:
            _require(remote, host)
            with locked(remote):
                done = _gone_back(remote, release, watch, report)
    except EdgeferError as exc:
        return Result(host, "failed", str(exc).removeprefix(f"{host}: "))
    seconds = round(time.monotonic() - began, 1)
    if done["result"] == "committed":
        return Result(host, "deployed", f"{done['release']} runs", (), seconds)
    kind = "rolled back" if done["result"] == "rolled back" else "failed"
    return Result(host, kind, done["reason"], (), seconds)  # type: ignore[arg-type]  # one of two


def _gone_back(remote: Remote, release: str | None, watch: float, report: Report) -> dict[str, Any]:
    token = uuid.uuid4().hex
    checks = json.dumps({"watch": watch})
    program.tell(
        remote, ["start", token, "--back", release or "-", "--checks", checks], "going back"
    )
    return followed(remote, token, report)


def releases(host: str, connect: Connect) -> dict[str, Any]:
    """Return what a device tells of its releases; raise `DeployError`."""
    with connect() as remote:
        return asked(remote, host)


def asked(remote: Remote, host: str) -> dict[str, Any]:
    """Return the same over a connection that is there."""
    _require(remote, host)
    return program.outcome(program.tell(remote, ["list"], "asking for its releases"))


def _require(remote: Remote, host: str) -> None:
    if not program.installed(remote):
        raise HostRefused(f"{host}: nothing was deployed there; see: edgefer deploy --help")


def describe(host: str, told: dict[str, Any]) -> list[str]:
    """Return a device's releases in lines, the one that runs marked."""
    lines = [host]
    for one in told["releases"]:
        mark = "*" if one["id"] == told["running"] else " "
        made = one.get("made")
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(made)) if made else "by hand"
        lines.append(f"{mark} {one['id']}  {when}  {one['model'] or ''}  {one['target'] or ''}")
    if told["pending"]:
        lines.append(f"  {told['pending']} is not committed yet")
    last = told["outcome"]
    if last and last.get("reason"):
        lines.append(f"  last: {last['result']}: {last['reason']}")
    return lines
