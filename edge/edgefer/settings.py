"""Strict reading of TOML into frozen structs, for recipes and configuration."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect
from msgspec.structs import FieldInfo

from edgefer.errors import SettingsError, UnknownKey
from edgefer.text_files import read_text

T = TypeVar("T", bound=msgspec.Struct)
KINDS: dict[type[inspect.Type], str] = {
    inspect.StrType: "a text",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.StructType: "a table",
    inspect.DictType: "a table",
}
"""How errors and documents call the types of values."""


class Problem(NamedTuple):
    """What is wrong with one setting."""

    key: str
    """As TOML writes it: `mood.threshold`, `[[content.rule]] 2: from`; empty for all of a file."""
    error: str
    """What completes the key to a sentence."""
    unknown: bool = False
    nearest: str | None = None
    """Of an unknown key: the one probably meant."""

    def __str__(self) -> str:
        if self.unknown:
            hint = f"; did you mean '{self.nearest}'?" if self.nearest else ""
            return f"unknown key '{self.key}'{hint}"
        return f"{self.key}{'' if self.error.startswith(':') else ' '}{self.error}".strip()


class Form(NamedTuple):
    """How a form of text writes the tables of a list, in errors."""

    element: str
    """What stands before a key of the `number`th."""
    list_wanted: str
    """What completes the key of one table where a list is expected."""


TOML = Form("[[{key}]] {number}: ", "must have double brackets: [[{key}]]")
JSON = Form("{key} {number}.", "must be a list")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file; raise `SettingsError` if it is absent or not TOML."""
    text = read_text(path)
    try:
        return msgspec.toml.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise SettingsError(f"{path}: not TOML: {exc}") from exc


def to_toml(value: object) -> str:
    """Return a text, a path, a number (NumPy's too), true, false or a list of these as TOML."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, float):
        return repr(float(value))  # inf, too
    # The rest is written as in JSON.
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def parse(table: Mapping[str, Any], kind: type[T], source: str, form: Form = TOML) -> T:
    """Turn a table into `kind`; raise `UnknownKey` or `SettingsError`, naming `source`."""
    first = next(problems(table, kind, form=form), None)
    if first is None:
        return msgspec.convert(table, kind, strict=True)
    if first.unknown:
        raise UnknownKey(source, first.key, first.nearest)
    raise SettingsError(f"{source}: {first}")


def problems(
    table: Mapping[str, Any], kind: type[msgspec.Struct], at: str = "", form: Form = TOML
) -> Iterator[Problem]:
    """Yield all that is wrong with a table, unknown keys of all its tables among it."""
    fields = _fields(kind)
    sound = {}
    for key, value in table.items():
        if key not in fields:
            guess = nearest(key, fields)
            found = [Problem(at + key, "", True, at + guess if guess else None)]
        else:
            found = list(_in_value(value, fields[key].type, at + key, form))
        yield from found
        if not found:
            sound[key] = value
    required = {key for key, field in fields.items() if field.required}
    for key in (key for key in fields if key in required - table.keys()):
        yield Problem(at + key, "is missing")
    if required <= sound.keys():
        yield from _refused_by_itself(sound, kind, at)


def sound_part(table: Mapping[str, Any], kind: type[T], found: Iterable[Problem]) -> T | None:
    """Return a table as `kind` without the keys at its top in which problems were found.

    What is wrong beside them can be found in it. None where nothing can be made of the rest.
    """
    wrong = {re.split(r"[.\]:]", one.key.strip("[ "))[0] for one in found}
    rest = {key: table[key] for key in _fields(kind) if key in table and key not in wrong}
    try:
        return msgspec.convert(rest, kind, strict=True)
    except msgspec.ValidationError:
        return None


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, FieldInfo]:
    """Return a struct's fields by key; msgspec evaluates their hints anew each time."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _refused_by_itself(
    table: Mapping[str, Any], kind: type[msgspec.Struct], at: str
) -> Iterator[Problem]:
    """Yield what a struct itself refuses of values that are sound one by one."""
    try:
        msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as exc:
        error, _, _ = str(exc).partition(" - at `$")
        is_table = at.endswith(".") and not at.startswith("[[")
        where = f"[{at[:-1]}]" if is_table else at.rstrip(".: ")
        yield Problem(where, f": {error}" if where else error)


def _in_value(value: Any, hint: Any, key: str, form: Form, named: Any = None) -> Iterator[Problem]:
    """Yield what is wrong with the value of a key, tables and lists in it included.

    `named` is the type that the error names where that is not `hint`: the list's that it is of.
    """
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for one in members:
        origin, inner = get_origin(one), get_args(one)
        if isinstance(value, Mapping) and _is_struct(one):
            yield from problems(value, one, f"{key}.", form)
            return
        if isinstance(value, Mapping) and origin is dict:
            for name, held in value.items():
                yield from _in_value(held, inner[1], f"{key}.{name}", form)
            return
        if isinstance(value, Mapping) and origin is tuple and _is_struct(inner[0]):
            yield Problem(key, form.list_wanted.format(key=key))
            return
        if isinstance(value, list) and origin is tuple and inner[-1] is Ellipsis:
            for number, held in enumerate(value, 1):
                if isinstance(held, Mapping) and _is_struct(inner[0]):
                    at = form.element.format(key=key, number=number)
                    yield from problems(held, inner[0], at, form)
                else:
                    yield from _in_value(held, inner[0], key, form, hint)
            return
    try:
        msgspec.convert(value, hint, strict=True)
    except msgspec.ValidationError:
        got = _shown(value, expectation(hint))
        yield Problem(key, f"must be {expectation(named or hint)}, got {got}")
    except UnicodeEncodeError:  # of an option: bytes that are no UTF-8
        yield Problem(key, "must be UTF-8, got other bytes")


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _shown(value: Any, expected: str) -> str:
    """Return a value for an error; a text may be a password where any text is taken."""
    if isinstance(value, str) and not (expected.startswith("one of") or " such as " in expected):
        empty = "an empty one" if expected.startswith("a text") else "an empty text"
        return "a text" if value else empty
    if isinstance(value, Mapping | list):
        return "a table" if isinstance(value, Mapping) else "a list"
    shown = str(value).lower() if isinstance(value, bool) else f"{value!s:.20}"
    unquoted = expected.startswith("one of") and shown in re.split("[ ,]+", expected)
    return f"{shown} without quotes" if unquoted else shown


def expectation(hint: Any) -> str:
    """Return what values a type takes, in words: `from 0 to 1`, `one of nearest, household`."""
    kind = inspect.type_info(hint)
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    words = " or ".join(filter(None, map(_expected, members))) or "of another type"
    return f"one of {words.replace(' or ', ', ')}" if _is_choice(members) else words


def _is_choice(members: Iterable[inspect.Type]) -> bool:
    return any(isinstance(one, inspect.LiteralType | inspect.EnumType) for one in members)


def _expected(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):  # words for a pattern
        return str((kind.extra or {}).get("expected", "")) or _expected(kind.type)
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        members = kind.cls if isinstance(kind, inspect.EnumType) else kind.values
        return ", ".join(str(getattr(member, "value", member)) for member in members)
    if isinstance(kind, inspect.TupleType | inspect.VarTupleType | inspect.ListType):
        return f"a list of {_items(kind)}"
    if isinstance(kind, inspect.IntType | inspect.FloatType) and _range(kind):
        return _range(kind)
    if isinstance(kind, inspect.StrType) and kind.min_length:
        return "a text that is not empty"
    return KINDS.get(type(kind), "")


def _items(kind: inspect.TupleType | inspect.VarTupleType | inspect.ListType) -> str:
    """Return what the values of a list are called, with their number where it is fixed."""
    if isinstance(kind, inspect.TupleType):
        return f"{len(kind.item_types)} {_plural(kind.item_types[0])}"
    return _plural(kind.item_type)


def _plural(kind: inspect.Type) -> str:
    one = _expected(kind)
    if one in KINDS.values():
        return f"{one.removeprefix('a ')}s"
    return f"numbers {one}" if isinstance(kind, inspect.IntType | inspect.FloatType) else one


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    """Return the bounds of a number in words, nothing where it has none."""
    if kind.ge is not None and kind.le is not None:
        return f"from {kind.ge:g} to {kind.le:g}"
    bounds = {"at least": kind.ge, "above": kind.gt, "at most": kind.le, "below": kind.lt}
    return " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), None)
