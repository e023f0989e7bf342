"""Strict reading of TOML into frozen structures: the one way in for recipes and configuration."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgefer.errors import SettingsError, UnknownKey

T = TypeVar("T", bound=msgspec.Struct)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file; raise `SettingsError` if it is absent or not TOML."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (OSError, msgspec.DecodeError) as exc:
        raise SettingsError(f"{path}: {exc}") from exc


def parse(table: Mapping[str, Any], kind: type[T], source: str) -> T:
    """Turn a table into `kind`; raise `UnknownKey` or `SettingsError`, naming `source`."""
    refuse_unknown_keys(table, kind, source)
    try:
        return msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"{source}: {exc}") from exc


def refuse_unknown_keys(
    table: Mapping[str, Any], kind: type[msgspec.Struct], source: str, prefix: str = ""
) -> None:
    """Raise `UnknownKey` for the first key that `kind` lacks, its nested tables included."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            nearest = difflib.get_close_matches(key, list(fields), n=1, cutoff=0.5)
            raise UnknownKey(source, prefix + key, prefix + nearest[0] if nearest else None)
        inner = fields[key]
        is_struct = isinstance(inner, type) and issubclass(inner, msgspec.Struct)
        if isinstance(value, Mapping) and is_struct:
            refuse_unknown_keys(value, inner, source, f"{prefix}{key}.")
