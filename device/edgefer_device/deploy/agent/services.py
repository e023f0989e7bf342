"""The device's services, as systemd runs them, and what a changed file asks of the system."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

SECONDS = 90.0
"""Timeout of one systemctl command; a start waits for the daemon's readiness notification."""
CONSEQUENCES = (
    ("/etc/systemd/system/", ("systemctl", "daemon-reload")),
    ("/etc/udev/rules.d/", ("udevadm", "control", "--reload")),
    ("/etc/udev/rules.d/", ("udevadm", "trigger", "--subsystem-match=video4linux")),
    ("/etc/udev/rules.d/", ("udevadm", "trigger", "--subsystem-match=media")),
    ("/etc/sysusers.d/", ("systemd-sysusers", "edgefer-kiosk.conf")),
    ("/etc/sysusers.d/", ("gpasswd", "-d", "edgefer-kiosk", "video")),  # earlier versions' groups
    ("/etc/sysusers.d/", ("gpasswd", "-d", "edgefer-kiosk", "input")),
    ("/etc/mosquitto/", ("systemctl", "restart", "--no-block", "mosquitto")),
)
"""By the folder of a file: what has to be run after it changed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The state of a service."""

    active: bool
    pid: int
    """Of its main process; 0: there is none."""
    restarts: int
    state: str
    """In systemd's words: `activating (auto-restart), exit-code`."""


class Services(Protocol):
    """The service manager of a device."""

    def reload(self, paths: Iterable[str]) -> None:
        """Have the system take in files that changed."""

    def enable(self, name: str) -> None:
        """Have a service started at boot."""

    def disable(self, name: str) -> None:
        """Stop a service and start it no more."""

    def restart(self, name: str) -> None:
        """Restart a service, without waiting until it is ready."""

    def unit(self, name: str) -> Unit:
        """Return the state of a service."""

    def last_error(self, name: str) -> str:
        """Return the last error that a service wrote to the journal, or nothing."""


class Systemd:
    """systemd; what it lacks or refuses shows in the health checks that follow."""

    def reload(self, paths: Iterable[str]) -> None:
        """Run what `CONSEQUENCES` has for changed files."""
        changed = tuple(paths)
        for folder, command in CONSEQUENCES:
            if any(path.startswith(folder) for path in changed):
                _run(*command)

    def enable(self, name: str) -> None:
        """Have a service started at boot."""
        if _run("systemctl", "is-enabled", name).strip() != "enabled":
            _run("systemctl", "enable", name)

    def disable(self, name: str) -> None:
        """Stop a service and start it no more."""
        _run("systemctl", "disable", "--now", name)

    def restart(self, name: str) -> None:
        """Restart a service; the count of earlier failures is reset."""
        _run("systemctl", "reset-failed", name)
        _run("systemctl", "restart", "--no-block", name)

    def unit(self, name: str) -> Unit:
        """Return the state of a service."""
        wanted = "ActiveState,SubState,MainPID,NRestarts,Result"
        lines = _run("systemctl", "show", name, f"--property={wanted}").splitlines()
        values = {key: value for key, _, value in (line.partition("=") for line in lines)}
        state = f"{values.get('ActiveState')} ({values.get('SubState')})"
        if values.get("Result", "success") != "success":
            state += f", {values['Result']}"
        pid, restarts = (int(values.get(key) or 0) for key in ("MainPID", "NRestarts"))
        return Unit(values.get("ActiveState") == "active", pid, restarts, state)

    def last_error(self, name: str) -> str:
        """Return the last error line of a service in the journal, not systemd's about it."""
        journal = _run("journalctl", "--unit", name, "--lines=40", "--output=cat", "--boot")
        lines = [line for line in journal.splitlines() if line.startswith("edgefer: ")]
        errors = lines or [line for line in journal.splitlines() if "Error" in line]
        return errors[-1].removeprefix("edgefer: ").strip() if errors else ""


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
