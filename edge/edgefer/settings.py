"""Strict reading of TOML into frozen structs, for recipes and configuration."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec.inspect import FloatType, IntType, StructType, type_info

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
        raise SettingsError(f"{source}: {_reason(str(exc), table, kind)}") from exc


def number_range(kind: msgspec.inspect.Type) -> str | None:
    """Return the range of a number in words; None for another type, and without any bound."""
    for one in getattr(kind, "types", (kind,)):
        if isinstance(one, IntType | FloatType) and one.ge is not None:
            return f"at least {one.ge:g}" if one.le is None else f"from {one.ge:g} to {one.le:g}"
    return None


def _reason(error: str, table: Any, kind: type[msgspec.Struct]) -> str:
    """Return msgspec's error; for a number out of range in words, with its key and value."""
    problem, _, path = error.rstrip("`").partition(" - at `$.")
    if not re.search("[<>]=|out of range", problem) or "..." in path:
        return error
    value, found = table, type_info(kind)
    for step in re.findall(r"\w+", path):
        value = value[int(step) if isinstance(value, list | tuple) else step]
        found = _member(found, step)
    bounds = number_range(found)
    return error if bounds is None else f"{path} must be {bounds}, got {value!s:.20}"


def _member(kind: msgspec.inspect.Type, step: str) -> msgspec.inspect.Type:
    """Return the type of a struct's field, or of a sequence's items; else the same one."""
    for one in getattr(kind, "types", (kind,)):
        if isinstance(one, StructType):
            return next(field.type for field in one.fields if field.encode_name == step)
        if (items := getattr(one, "item_type", None)) is not None:
            return items  # type: ignore[no-any-return]  # of several types with items
    return kind


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
