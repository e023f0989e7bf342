"""A host by its address, and how it is spoken to."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from edgefer.errors import SettingsError

ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s:]+)@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Host:
    """`[USER@]HOST[:PORT]`; what is left out, ~/.ssh/config tells."""

    name: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{user}{self.name}{port}"


def parse_host(address: str) -> Host:
    """Return the host of an address; raise `SettingsError` for one that is none."""
    found = ADDRESS.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise SettingsError(f"{address}: no address of a host; expected [USER@]HOST[:PORT]")
    return Host(found["host"].strip("[]"), found["user"], port)


@dataclass(frozen=True, slots=True)
class Access:
    """What opens the door of a host."""

    key: Path | None = None
    """A private key; without, the agent, ~/.ssh/config and the usual names."""
    password: str | None = field(default=None, repr=False)
    sudo_password: str | None = field(default=None, repr=False)
    accept_new: bool = False
    """Whether a host that known_hosts does not have is believed, and written there."""

    @staticmethod
    def asked(key: Path | None, ssh: bool, sudo: bool, accept_new: bool) -> Access:
        """Ask for the passwords that are wanted; EDGEFER_SSH_PASSWORD and
        EDGEFER_SUDO_PASSWORD go before."""
        return Access(
            key,
            _secret("EDGEFER_SSH_PASSWORD", "SSH password: ", ssh),
            _secret("EDGEFER_SUDO_PASSWORD", "sudo password: ", sudo),
            accept_new,
        )


def _secret(variable: str, prompt: str, wanted: bool) -> str | None:
    return os.environ.get(variable) or (getpass.getpass(prompt) if wanted else None)
