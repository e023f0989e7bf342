"""Parse the addresses that choose cameras and sinks: `scheme:place?name=value&name=value`.

The options of a scheme are a dataclass whose fields are annotated with their parsers:

    @dataclass(frozen=True, slots=True)
    class ClipOptions:
        rate: Annotated[float, number(1, 240)] = 30.0

    address = parse_address("file:clip.mkv?rate=5", "camera", {"file": "file:PATH[?rate=30]"})
    options = address.read(ClipOptions)

Every error is a `SettingsError` that names what is accepted, and shows no password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from edgefer.errors import SettingsError

T = TypeVar("T")
Parser = Callable[[str], Any]
"""Parses a value; raises a `ValueError` whose text completes "must be ..."."""

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
"""By unit: its length in seconds."""
LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """One parsed address."""

    scheme: str
    place: str
    """What stands between the scheme and the options: a path, a host, a URL; may be empty."""
    options: Mapping[str, str] = field(default_factory=dict)
    """As written; `read` checks and converts them."""
    label: str = ""
    """The address as errors show it: without user, password and a URL's query."""

    def read(self, kind: type[T], *beside: type[Any]) -> T:
        """Return the options as `kind`, a dataclass of `Annotated` fields.

        Refuses options that neither `kind` nor a dataclass `beside` it declares.
        """
        known = [one.name for each in (kind, *beside) for one in fields(each)]
        for name in self.options:
            if name not in known:
                raise SettingsError(
                    f"{self.label}: unknown option '{name}'; known: {', '.join(known) or 'none'}"
                )
        return kind(**self._values(kind))

    def _values(self, kind: type[Any]) -> dict[str, Any]:
        values = {}
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if name not in self.options or get_origin(hint) is not Annotated:
                continue
            text, parse = self.options[name], get_args(hint)[1]
            try:
                values[name] = parse(text)
            except ValueError as exc:
                raise SettingsError(f"{self.label}: '{name}' must be {exc}, got '{text}'") from None
        return values

    def refuse_place(self) -> None:
        """Refuse a place where the scheme has none."""
        if self.place:
            raise SettingsError(f"{self.label}: '{self.scheme}:' takes no path; got '{self.place}'")

    def host_and_port(self, usual: tuple[str, int]) -> tuple[str, int]:
        """Return where to listen: the place is `HOST:PORT`, `:PORT` or empty."""
        if not self.place:
            return usual
        host, _, port = self.place.rpartition(":")
        if not port.isdecimal() or int(port) > LAST_PORT:
            example = f"{self.scheme}:{usual[0]}:{usual[1]}"
            raise SettingsError(
                f"{self.label}: expected {self.scheme}:HOST:PORT, such as {example}"
            )
        return host.strip("[]") or usual[0], int(port)


def parse_address(
    uri: str, kind: str, forms: Mapping[str, str], urls: Collection[str] = ()
) -> Address:
    """Parse an address of a `kind` ("camera", "sink").

    `forms` maps each accepted scheme to how it is written. In the schemes of `urls` the place is a
    URL, with the scheme (`rtsp://...`) or behind it (`webhook:https://...`): there a `?` belongs to
    the server, and options stand behind `#`.
    """
    scheme, colon, rest = uri.partition(":")
    label = redacted(uri)
    if not colon or scheme not in forms:
        known = ", ".join(dict.fromkeys(forms.values()))
        raise SettingsError(f"unknown {kind} '{label}'; known: {known}")
    if scheme in urls:
        place, _, query = (rest if re.match(r"\w+://", rest) else uri).partition("#")
    else:
        place, mark, query = rest.rpartition("?")
        if not mark:
            place, query = rest, ""
    pairs = (item.partition("=") for item in query.split("&") if item)
    return Address(scheme, place, {name: value for name, _, value in pairs}, label)


def redacted(uri: str) -> str:
    """Return an address as people may see it: a URL without user, password and query."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    server, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{server.rpartition('@')[2]}{slash}{path}"


def choice(*values: str) -> Parser:
    """Parse one of some words."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return parse


def flag(text: str) -> bool:
    """Parse 0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def number(least: float, most: float) -> Parser:
    """Parse a number within bounds."""

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
    """Parse a whole number within bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    """Parse a span of time; without a unit it is in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if match is None:
        raise ValueError("a time such as 500ms, 5s or 2m")
    return float(match[1]) * SECONDS[match[2]]
