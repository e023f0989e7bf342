"""Hosts and how to log in to them; a fleet of them in one TOML file.

wave = 2                     # hosts at a time
pause = 30                   # seconds after a wave that changed something

[defaults]
target = "rpi"

[groups.hall]
hosts = ["pi@one.local", "pi@two.local"]
settings.mirror.language = "de"

[hosts."pi@two.local"]
settings.camera = "v4l2:/dev/video2"
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from edgefer.errors import SettingsError
from edgefer.settings import parse, read_toml
from edgefer_device.daemon.configuration import Config
from edgefer_device.deploy.targets import TARGETS

ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s:]+)@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Host:
    """`[USER@]HOST[:PORT]`; what is left out is taken from ~/.ssh/config."""

    name: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{user}{self.name}{port}"


def parse_host(address: str) -> Host:
    """Return the host of an address; raise `SettingsError` for an invalid one."""
    found = ADDRESS.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        # What stands before the last "@" may hold a password.
        _, secret, shown = address.rpartition("@")
        hint = "; a password is asked for by --ask-password" if secret else ""
        raise SettingsError(
            f"{shown or 'nothing'}: no address of a host; expected [USER@]HOST[:PORT]{hint}"
        )
    return Host(found["host"].strip("[]"), found["user"], port)


@dataclass(frozen=True, slots=True)
class Access:
    """How to log in to hosts."""

    key: Path | None = None
    """A private key; without, the SSH agent, ~/.ssh/config and the usual names."""
    password: str | None = field(default=None, repr=False)
    sudo_password: str | None = field(default=None, repr=False)
    accept_new: bool = False
    """Whether an unknown host key is trusted on first use, and written to known_hosts."""


def read_password(variable: str, prompt: str, ask: bool) -> str | None:
    """Return a password from an environment variable, or else the keyboard if `ask`."""
    return os.environ.get(variable) or (getpass.getpass(prompt) if ask else None)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one table laid over another, tables within tables too."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = laid_over(out[key], value) if both else value
    return out


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of all hosts, of a group or of one; the more specific entry wins."""

    target: str | None = None
    model: str | None = None
    kiosk: bool | None = None
    broker: bool | None = None
    camera: bool | None = None
    """False: it has none yet."""
    settings: dict[str, Any] = {}
    """Keys of edgefer.toml."""

    def over(self, below: Entry) -> Entry:
        """Return this entry laid over another, settings key by key."""
        fields = [field for field in Entry.__struct_fields__ if field != "settings"]
        own = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        other = {name: getattr(below, name) for name in fields}
        return Entry(**{**other, **own}, settings=laid_over(below.settings, self.settings))


class Group(Entry, frozen=True, forbid_unknown_fields=True):
    """Hosts that share something."""

    hosts: tuple[str, ...] = ()


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    wave: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Hosts at a time; None is all of them."""
    pause: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds between two waves, where the first of them changed something."""
    defaults: Entry = Entry()
    groups: dict[str, Group] = {}
    hosts: dict[str, Entry] = {}

    def entries(self, groups: Sequence[str] = ()) -> dict[str, Entry]:
        """Return each host once with its merged entry; raise `SettingsError`.

        With `groups`, only their hosts.
        """
        unknown = [name for name in groups if name not in self.groups]
        if unknown:
            raise SettingsError(f"no group '{unknown[0]}'; there is: {', '.join(self.groups)}")
        found: dict[str, Entry] = {}
        for name, group in self.groups.items():
            for host in group.hosts if not groups or name in groups else ():
                found[host] = group.over(found.get(host, self.defaults))
        for host, entry in self.hosts.items():
            if host in found or not groups:
                found[host] = entry.over(found.get(host, self.defaults))
        return found


def read_inventory(path: Path) -> Inventory:
    """Read a fleet's file; raise `SettingsError`, or `UnknownKey` with the nearest name."""
    table = read_toml(path)
    inventory = parse(table, Inventory, str(path))
    entries = inventory.entries()
    if not entries:
        raise SettingsError(f"{path}: names no host; write [groups.NAME] with hosts = [...]")
    for host, entry in entries.items():
        try:
            parse_host(host)
        except SettingsError as exc:
            raise SettingsError(f"{path}: {exc}") from exc
        if entry.target not in TARGETS:
            expected = f"target must be one of {', '.join(TARGETS)}"
            raise SettingsError(f"{path}: {host}: {expected}; got {entry.target or 'none'}")
        parse(entry.settings, Config, f"{path}: {host}: settings")
    return inventory
