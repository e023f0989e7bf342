"""A system's SSH port on this machine's loopback, and what is asked through it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from support.firmware_files import Done, run

PATIENCE = 120.0
"""Seconds that a boot may take; two suffice where nothing else runs."""


@dataclass(frozen=True)
class Reach:
    """The way to a system with an SSH server."""

    folder: Path
    """Its key (`key`), `known_hosts`, and `console.log`, what it said while it booted."""

    port: int
    """Of SSH, on 127.0.0.1."""

    @property
    def key(self) -> Path:
        """The private key that every user accepts."""
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """Knows the device's key under its loopback address and port."""
        return self.folder / "known_hosts"

    @property
    def console(self) -> str:
        """The last that it said while it booted."""
        return (self.folder / "console.log").read_text(errors="replace")[-3000:]

    @property
    def options(self) -> list[str]:
        """What ssh, scp and rsync's ssh need to get there without a question."""
        wanted = {
            "Port": self.port,
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": 30,
            # One that starts anew may forget to say goodbye.
            "ServerAliveInterval": 20,
            "LogLevel": "ERROR",
        }
        return ["-F", "none", *(f"-o{name}={value}" for name, value in wanted.items())]

    def ssh(self, command: str, user: str = "root", seconds: float = 120) -> Done:
        """Run a shell command there; nothing is raised for a status other than 0."""
        return run("ssh", *self.options, f"{user}@127.0.0.1", command, seconds=seconds)

    def check(self, command: str, user: str = "root", seconds: float = 120) -> str:
        """Run a shell command that must succeed; return what it printed."""
        done = self.ssh(command, user, seconds)
        assert done.status == 0, f"{command}: {done.status}\n{done.out}{done.err}"
        return done.out

    def state(self, unit: str) -> str:
        """What `systemctl is-active` says of a unit."""
        return self.ssh(f"systemctl is-active {unit}").out.strip()

    def property(self, unit: str, name: str) -> str:
        """One of a unit's properties, as `systemctl show` has it."""
        return self.check(f"systemctl show --value --property={name} {unit}").strip()

    def wait(self, command: str, seconds: float = PATIENCE) -> float:
        """Wait until a command succeeds there; return after how many seconds it did."""
        begun = time.monotonic()
        while (done := self.ssh(command, seconds=seconds)).status != 0:
            last = f"{done.out}{done.err}"[-1000:]
            assert time.monotonic() - begun < seconds, f"not in {seconds:.0f} s: {command}\n{last}"
            time.sleep(0.2)
        return time.monotonic() - begun

    def know(self, host_key: str) -> None:
        """Let `known_hosts` say which key the device has."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}")


def make_key(place: Path) -> None:
    """Write a key pair without a passphrase."""
    done = run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", place)
    assert done.status == 0, done.err
