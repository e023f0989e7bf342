"""The device's services, as systemd runs them, and what a changed file asks of the system."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

SECONDS = 90.0
"""How long systemd may take for one thing; a start waits for the daemon to say that it is ready."""
CONSEQUENCES = (
    ("/etc/systemd/system/", ("systemctl", "daemon-reload")),
    ("/etc/udev/rules.d/", ("udevadm", "control", "--reload")),
    ("/etc/udev/rules.d/", ("udevadm", "trigger", "--subsystem-match=video4linux")),
    ("/etc/sysusers.d/", ("systemd-sysusers", "edgefer-kiosk.conf")),
    ("/etc/mosquitto/", ("systemctl", "restart", "--no-block", "mosquitto")),
)
"""By where a file lies: what has to be done after it changed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a service is."""

    active: bool
    pid: int
    """Of its main process; 0: there is none."""
    restarts: int
    said: str
    """systemd's words for it: `activating (auto-restart), exit-code`."""


class Services(Protocol):
    """What keeps programs alive on a device."""

    def changed(self, paths: Iterable[str]) -> None:
        """Do what changed files ask for."""
        ...

    def enable(self, name: str) -> bool:
        """Have a service started at boot; return whether it was not before."""
        ...

    def disable(self, name: str) -> None:
        """Stop a service and start it no more."""
        ...

    def restart(self, name: str) -> None:
        """Start a service anew, and let it become ready by itself."""
        ...

    def unit(self, name: str) -> Unit:
        """Look at a service."""
        ...

    def last_words(self, name: str) -> str:
        """Return the last line that a service wrote to the journal."""
        ...


class Systemd:
    """The real ones."""

    def changed(self, paths: Iterable[str]) -> None:
        """Do what changed files ask for; what the system lacks is passed over."""
        held = tuple(paths)
        for place, command in CONSEQUENCES:
            if any(path.startswith(place) for path in held):
                _run(*command)

    def enable(self, name: str) -> bool:
        """Have a service started at boot; return whether it was not before."""
        if _run("systemctl", "is-enabled", name).strip() == "enabled":
            return False
        _run("systemctl", "enable", name)
        return True

    def disable(self, name: str) -> None:
        """Stop a service and start it no more."""
        _run("systemctl", "disable", "--now", name)

    def restart(self, name: str) -> None:
        """Start a service anew; one that had failed often is let begin afresh."""
        _run("systemctl", "reset-failed", name)
        _run("systemctl", "restart", "--no-block", name)

    def unit(self, name: str) -> Unit:
        """Look at a service."""
        wanted = "ActiveState,SubState,MainPID,NRestarts,Result"
        lines = _run("systemctl", "show", name, f"--property={wanted}").splitlines()
        told = {key: value for key, _, value in (line.partition("=") for line in lines)}
        said = f"{told.get('ActiveState')} ({told.get('SubState')})"
        if told.get("Result", "success") != "success":
            said += f", {told['Result']}"
        return Unit(
            told.get("ActiveState") == "active",
            int(told.get("MainPID") or 0),
            int(told.get("NRestarts") or 0),
            said,
        )

    def last_words(self, name: str) -> str:
        """Return the last line that a service wrote to the journal, not systemd's of it."""
        said = _run("journalctl", "--unit", name, "--lines=40", "--output=cat", "--boot")
        lines = [line for line in said.splitlines() if line.startswith("edgefer: ")]
        errors = lines or [line for line in said.splitlines() if "Error" in line]
        return errors[-1].removeprefix("edgefer: ").strip() if errors else ""


def _run(*command: str) -> str:
    """Run a program of the system; what it lacks or refuses shows in the health that follows."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
