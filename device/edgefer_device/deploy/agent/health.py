"""Health of a release: its service, the daemon's own status, and its page."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout
from .messages import Checks, DaemonStatus, decoded
from .services import Services, Unit

SECONDS = 5.0
"""How long the daemon may take for one answer."""
DAEMON = "edgefer"


@dataclass(frozen=True, slots=True)
class Health:
    """The result of one health check."""

    ok: bool
    detail: str
    """In words: what is wrong, or how it is."""
    unit: Unit


def check_health(layout: Layout, services: Services, checks: Checks, release: str) -> Health:
    """Check once that a release's service runs, its parts work and its page is served."""
    unit = services.unit(DAEMON)
    if not checks.camera:
        return Health(True, "no camera: the service is installed", unit)
    if not unit.active or not unit.pid:
        return Health(False, f"the service is {unit.state}", unit)
    program = _program(layout, unit.pid)
    if program is not None and f"/releases/{release}/" not in program:
        return Health(False, f"the service runs {program}, not release {release}", unit)
    try:
        status = daemon_status(layout.resolve(checks.state))
    except (OSError, ValueError) as exc:
        return Health(False, f"the daemon reports no status: {exc}", unit)
    fault = _fault(status, checks)
    return Health(fault is None, fault or f"{status.analysed} frames analysed", unit)


def _fault(status: DaemonStatus, checks: Checks) -> str | None:
    """Return what is wrong by the daemon's status and its page, or None."""
    if status.faults:
        return status.faults
    if not status.paused:
        if not status.camera_open:
            return f"the camera {status.camera} is not open"
        if status.analysed < checks.inferences:
            return f"{status.analysed} of {checks.inferences} frames analysed"
    return _page_fault(status.page) if status.page else None


def daemon_status(state: Path) -> DaemonStatus:
    """Request the daemon's status at its control socket; raise `OSError` or `ValueError`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(SECONDS)
        client.connect(str(state / "control.sock"))
        client.sendall(b'{"command": "status"}\n')
        with client.makefile("rb") as responses:
            response = json.loads(responses.readline() or b"{}")
    if not isinstance(response.get("result"), dict):
        raise ValueError(response.get("error") or "no response")
    status: DaemonStatus = decoded(DaemonStatus, response["result"])
    return status


def _page_fault(address: str) -> str | None:
    """Return what is wrong with the mirror page, or None."""
    # A page on all addresses is reached by the loopback one.
    near = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    shown = near.partition("?")[0]
    # No proxy of the environment stands between a machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(near, timeout=SECONDS) as page:
            return None if page.status == 200 else f"{shown} answers {page.status}"
    except (OSError, urllib.error.URLError) as exc:
        return f"{shown} does not answer: {exc}"


def _program(layout: Layout, pid: int) -> str | None:
    """Return the interpreter that a process was started with; None where it is gone already."""
    try:
        command = (layout.root / "proc" / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return command[0].decode(errors="replace")
