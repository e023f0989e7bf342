"""The options behind an address, `name=value&name=value`: each with its type and its range.

@dataclass(frozen=True, slots=True)
class Options:
    rate: float = option(number(1, 240), 30.0)
    size: Size = option(Size.parse, Size(640, 480))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from edgefer.errors import SettingsError

T = TypeVar("T")
Parser = Callable[[str], Any]
"""Reads a value, as the annotation of its field; raises a `ValueError` whose text completes
"must be ..."."""

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
"""By unit: its length in seconds."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height, pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `640x480`."""
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
        if match is None:
            raise ValueError("a width and a height such as 640x480")
        return cls(*map(int, match.groups()))

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    def holds(self, other: Size) -> bool:
        """Whether another size fits into this one."""
        return self.width >= other.width and self.height >= other.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


VGA = Size(640, 480)
"""What every camera has, and enough for faces at arm's length."""


def choice(*values: str) -> Parser:
    """Read one of some words."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return parse


def flag(text: str) -> bool:
    """Read 0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def number(least: float, most: float) -> Parser:
    """Read a number within bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ValueError(f"a number from {least:g} to {most:g}")
        return value

    return parse


def count(least: int, most: int) -> Parser:
    """Read a whole number within bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    """Read a span of time; without a unit it is in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if match is None:
        raise ValueError("a time such as 500ms, 5s or 2m")
    return float(match[1]) * SECONDS[match[2]]


def refuse_unknown(given: Mapping[str, str], kinds: Sequence[type[Any]], uri: str) -> None:
    """Raise `SettingsError` for an option that none of some dataclasses has."""
    known = [one.name for kind in kinds for one in fields(kind)]
    for name in given:
        if name not in known:
            raise SettingsError(f"{uri}: unknown option '{name}'; known: {', '.join(known)}")


def take(given: Mapping[str, str], kind: type[T], uri: str) -> T:
    """Read the options that `kind`, a dataclass, declares; raise `SettingsError`."""
    values = {}
    for name, parse in _parsers(kind).items():
        if name not in given:
            continue
        try:
            values[name] = parse(given[name])
        except ValueError as exc:
            raise SettingsError(f"{uri}: '{name}' must be {exc}, got '{given[name]}'") from None
    return kind(**values)


def _parsers(kind: type[Any]) -> dict[str, Parser]:
    """Return what reads each field of a dataclass of options."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Annotated
    }
