"""Three-way merge of the settings on a device with those of a deployment.

A key is set where the device has what was deployed before; one changed there stays, and is
reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from edgefer.errors import SettingsError
from edgefer_device.daemon.configuration import Config, load_config
from edgefer_device.system.address import redacted

Keys = dict[tuple[str, ...], Any]
"""Settings by their path: `("mood", "threshold")`."""
HEADER = """# What `edgefer deploy` last set in edgefer.toml, which is the file to change:
# a key that differs there from what stands here counts as yours, and is left alone.
"""


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged settings."""

    text: str
    """Of edgefer.toml."""
    changed: tuple[str, ...]
    """What is different now: `camera = "demo:"`."""
    kept: tuple[str, ...]
    """What somebody set on the device, against the deployment."""


def merge(device: str, before: str, shipped: str, wanted: Mapping[str, Any], host: str) -> Merged:
    """Return the device's file with what is `wanted`.

    `before` is what the deployment before set, empty for none, and `shipped` the file as it
    comes with edgefer. Raises `SettingsError`, naming the host, for a file that is no TOML.
    """
    source = f"{host}: /etc/edgefer/edgefer.toml"
    document = _parse(device, source)
    given = _leaves(_parse(shipped, "the shipped edgefer.toml").unwrap())
    base = given | _leaves(_parse(before, f"{host}: /etc/edgefer/deployed.toml").unwrap())
    there, desired = _leaves(document.unwrap()), _leaves(dict(wanted))
    # What is asked for no longer goes back to what edgefer ships with.
    for path in base.keys() - desired.keys():
        if base[path] != given.get(path):
            desired[path] = given.get(path)
    changed, kept = [], []
    for path, value in sorted(desired.items()):
        has = there.get(path)
        if has == value:
            continue
        if has is not None and has != base.get(path):
            kept.append(_line(path, has))
            continue
        _set(document, path, value, source)
        changed.append(_line(path, value))
    return Merged(tomlkit.dumps(document), tuple(changed), tuple(kept))


def deployed(wanted: Mapping[str, Any]) -> str:
    """Return the text of deployed.toml."""
    return HEADER + tomlkit.dumps(dict(wanted))


def checked(text: str, host: str) -> Config:
    """Return the configuration in a text; raise `SettingsError`, naming the host."""
    try:
        return load_config(None, _parse(text, "edgefer.toml").unwrap())
    except SettingsError as exc:
        shown = str(exc).replace("options: ", "edgefer.toml: ", 1)
        raise SettingsError(f"{host}: {shown}") from exc


def _parse(text: str, source: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as exc:
        raise SettingsError(f"{source}: {exc}") from exc


def _leaves(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Keys:
    keys: Keys = {}
    for key, value in table.items():
        path = (*above, key)
        keys |= _leaves(value, path) if isinstance(value, Mapping) else {path: value}
    return keys


def _set(document: tomlkit.TOMLDocument, path: tuple[str, ...], value: Any, source: str) -> None:
    """Set or, with None, remove one key; comments and order stay."""
    table: Any = document
    for key in path[:-1]:
        if key not in table:
            inline = isinstance(table, InlineTable)  # which holds none but its own kind
            table[key] = tomlkit.inline_table() if inline else tomlkit.table()
        table = table[key]
        if not isinstance(table, Mapping):
            found = tomlkit.item(table).as_string()
            raise SettingsError(f"{source}: expected a table [{key}], got {key} = {found:.40}")
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value


def _line(path: tuple[str, ...], value: Any) -> str:
    """Return a setting as people may see it: an address without its password."""
    if isinstance(value, list):
        value = [redacted(one) if isinstance(one, str) else one for one in value]
    value = redacted(value) if isinstance(value, str) else value
    shown = "as shipped" if value is None else tomlkit.item(value).as_string()
    return f"{'.'.join(path)} = {shown}"
