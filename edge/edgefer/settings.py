"""Strict reading of TOML into frozen structs, for recipes and configuration."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec.inspect import (
    BoolType,
    EnumType,
    FloatType,
    IntType,
    LiteralType,
    StructType,
    type_info,
)

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
        if isinstance(one, IntType | FloatType) and (one.ge is not None or one.gt is not None):
            return _range(one)
    return None


def _range(kind: IntType | FloatType) -> str:
    if kind.gt is None and kind.lt is None and kind.le is not None:
        return f"from {kind.ge:g} to {kind.le:g}"
    low = f"at least {kind.ge:g}" if kind.gt is None else f"above {kind.gt:g}"
    if kind.lt is not None:
        return f"{low} and below {kind.lt:g}"
    return low if kind.le is None else f"{low} and at most {kind.le:g}"


def _reason(error: str, table: Any, kind: type[msgspec.Struct]) -> str:
    """Return msgspec's error; with key, value and what was expected where that is known."""
    problem, _, path = error.rstrip("`").partition(" - at `$.")
    if "..." in path:
        return error
    if problem == "Expected `array`, got `object`":
        return f"{path} must have double brackets: [[{path}]]"
    value, found = table, type_info(kind)
    for step in re.findall(r"\w+", path):
        value = value[int(step) if isinstance(value, list | tuple) else step]
        found = _member(found, step)
    if problem.startswith("Invalid enum value"):
        return f"{path} must be one of {', '.join(_words(found))}, got {value!s:.20}"
    bounds = number_range(found) if re.search("[<>]|out of range", problem) else None
    return error if bounds is None else f"{path} must be {bounds}, got {value!s:.20}"


def _words(kind: msgspec.inspect.Type) -> Iterator[str]:
    """Yield what a Literal's or an Enum's value may be, and a bool's where it may be one too."""
    for one in getattr(kind, "types", (kind,)):
        if isinstance(one, BoolType):
            yield from ("true", "false")
        elif isinstance(one, LiteralType):
            yield from map(str, one.values)
        elif isinstance(one, EnumType):
            yield from (str(member.value) for member in one.cls)


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
