"""A fleet in one TOML file: groups of hosts, what they all are, and what is each one's own.

wave = 2                     # hosts at a time
pause = 30                   # seconds after a wave that something was brought to

[defaults]
target = "rpi"

[groups.hall]
hosts = ["pi@one.local", "pi@two.local"]
settings.mirror.language = "de"

[hosts."pi@two.local"]
settings.camera = "v4l2:/dev/video2"
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from edgefer.errors import SettingsError
from edgefer.settings import parse, read_toml, refuse_unknown_keys
from edgefer_device.deploy.hosts import parse_host
from edgefer_device.deploy.spec import laid_over
from edgefer_device.deploy.targets import TARGETS


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said of all hosts, of a group or of one; nearer words go before."""

    target: str | None = None
    model: str | None = None
    kiosk: bool | None = None
    broker: bool | None = None
    camera: bool | None = None
    """False: it has none yet."""
    settings: dict[str, Any] = {}
    """Keys of edgefer.toml."""


class Group(Entry, frozen=True, forbid_unknown_fields=True):
    """Hosts that share something."""

    hosts: tuple[str, ...] = ()


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    wave: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Hosts at a time; None is all of them."""
    pause: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds between two waves, where something was brought to the first of them."""
    defaults: Entry = Entry()
    groups: dict[str, Group] = {}
    hosts: dict[str, Entry] = {}

    def named(self, groups: tuple[str, ...] = ()) -> dict[str, Entry]:
        """Return each host once with all that counts for it; raise `SettingsError`.

        With `groups`, only their hosts.
        """
        unknown = [name for name in groups if name not in self.groups]
        if unknown:
            raise SettingsError(f"no group '{unknown[0]}'; there is: {', '.join(self.groups)}")
        found: dict[str, Entry] = {}
        for name, group in self.groups.items():
            for host in group.hosts if not groups or name in groups else ():
                found[host] = over(found.get(host, self.defaults), group)
        for host, entry in self.hosts.items():
            if host in found or not groups:
                found[host] = over(found.get(host, self.defaults), entry)
        return found


def over(below: Entry, above: Entry) -> Entry:
    """Return one entry laid over another, settings key by key."""
    fields = [field for field in Entry.__struct_fields__ if field != "settings"]
    nearer = {name: getattr(above, name) for name in fields if getattr(above, name) is not None}
    further = {name: getattr(below, name) for name in fields}
    return Entry(**{**further, **nearer}, settings=laid_over(below.settings, above.settings))


def read_inventory(path: Path) -> Inventory:
    """Read a fleet's file; raise `SettingsError`, or `UnknownKey` with the nearest name."""
    table = read_toml(path)
    for kind, part in ((Group, "groups"), (Entry, "hosts")):
        held = table.get(part)
        for name, words in held.items() if isinstance(held, dict) else ():
            if isinstance(words, dict):
                refuse_unknown_keys(words, kind, str(path), f"{part}.{name}.")
    inventory = parse(table, Inventory, str(path))
    for problem in _problems(inventory):
        raise SettingsError(f"{path}: {problem}")
    return inventory


def _problems(inventory: Inventory) -> Iterator[str]:
    named = inventory.named()
    if not named:
        yield "names no host; write [groups.NAME] with hosts = [...]"
    for host, entry in named.items():
        parse_host(host)
        if entry.target not in TARGETS:
            known = ", ".join(TARGETS)
            yield f"{host}: target must be one of {known}; got {entry.target or 'none'}"
