"""Strict reading of TOML into frozen structs, for recipes and configuration."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from edgefer.errors import SettingsError, UnknownKey
from edgefer.text_files import read_text

T = TypeVar("T", bound=msgspec.Struct)
UNIONS = (Union, UnionType)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file; raise `SettingsError` if it is absent or not TOML."""
    text = read_text(path)
    try:
        return msgspec.toml.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as exc:
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
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            guess = nearest(key, fields)
            raise UnknownKey(source, prefix + key, prefix + guess if guess else None)
        hint = fields[key]
        several = isinstance(value, list)
        kinds = get_args(hint) if several or get_origin(hint) in UNIONS else (hint,)
        for inner in value if several else [value]:
            for nested in filter(_is_struct, kinds):
                if isinstance(inner, Mapping):
                    refuse_unknown_keys(inner, nested, source, f"{prefix}{key}.")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), None)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
