"""Whether a release does its work: by what it says itself, and by what others see of it."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .layout import Layout
from .services import Services, Unit

SECONDS = 5.0
"""How long the daemon may take for one answer."""
DAEMON = "edgefer"


@dataclass(frozen=True, slots=True)
class Checks:
    """What is asked of a release."""

    deadline: float = 60.0
    """Seconds after which it must be well."""
    watch: float = 90.0
    """Seconds for which it must stay so before it counts."""
    inferences: int = 5
    """Frames that it must have analysed."""
    state: str = "/var/lib/edgefer"
    """The daemon's state folder, where its door is."""
    door: bool = True
    """Whether it has one: a clip read as fast as it can be has none."""
    camera: bool = True
    """Whether there is a camera; declared absent, the daemon may be waiting for one."""

    @staticmethod
    def read(table: dict[str, Any]) -> Checks:
        """Take it from JSON."""
        return Checks(**table)


@dataclass(frozen=True, slots=True)
class Finding:
    """One look."""

    well: bool
    why: str
    """In words: what is wrong, or how it is."""
    unit: Unit


Ask = Callable[[Path], dict[str, Any]]
"""Asks the daemon of a state folder how it is; raises `OSError` where none answers."""


def look(layout: Layout, services: Services, checks: Checks, release: str) -> Finding:
    """Look once at the service, what it says, and its page."""
    unit = services.unit(DAEMON)
    if not checks.camera:
        return Finding(True, "no camera: the service is installed", unit)
    if not unit.active or not unit.pid:
        return Finding(False, f"the service is {unit.said}", unit)
    program = _program(layout, unit.pid)
    if program is not None and f"/releases/{release}/" not in program:
        return Finding(False, f"the service runs {program}, not release {release}", unit)
    if not checks.door:
        return Finding(True, "the service runs", unit)
    try:
        status = ask(layout.there(checks.state))
    except (OSError, ValueError) as exc:
        return Finding(False, f"the daemon does not say how it is: {exc}", unit)
    why = _unwell(status, checks)
    return Finding(why is None, why or f"{status['analysed']} frames analysed", unit)


def _unwell(status: dict[str, Any], checks: Checks) -> str | None:
    """Return what is wrong by the daemon's own word and its page's, or None."""
    ill = [f"{name}: {part['note']}" for name, part in status["parts"].items() if not part["ok"]]
    if ill:
        return "; ".join(ill)
    if not status["paused"]:
        if not status["camera_open"]:
            return f"the camera {status['camera']} is not open"
        if status["analysed"] < checks.inferences:
            return f"{status['analysed']} of {checks.inferences} frames analysed"
    return _page(status["page"]) if status["page"] else None


def ask(state: Path) -> dict[str, Any]:
    """Ask at the daemon's door how it is; raises `OSError` or `ValueError`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(SECONDS)
        caller.connect(str(state / "control.sock"))
        caller.sendall(b'{"command": "status"}\n')
        with caller.makefile("rb") as answers:
            answer = json.loads(answers.readline() or b"{}")
    if not isinstance(answer.get("result"), dict):
        raise ValueError(answer.get("error") or "no response")
    result: dict[str, Any] = answer["result"]
    return result


def _page(address: str) -> str | None:
    """Return what is wrong with the mirror page, or None."""
    # Whoever serves all addresses is reached by the nearest.
    near = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    bare = near.partition("?")[0]
    # No proxy of the environment stands between a machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(near, timeout=SECONDS) as page:
            return None if page.status == 200 else f"{bare} answers {page.status}"
    except (OSError, urllib.error.URLError) as exc:
        return f"{bare} does not answer: {exc}"


def _program(layout: Layout, pid: int) -> str | None:
    """Return the interpreter that a process was started with; None where it is gone already."""
    try:
        words = (layout.root / "proc" / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return words[0].decode(errors="replace")
