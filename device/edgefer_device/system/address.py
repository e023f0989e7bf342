"""The addresses by which cameras and sinks are chosen: `scheme:place?option=value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgefer.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """One address, taken apart."""

    scheme: str
    place: str
    """What stands between the scheme and the options: a path, a host; may be empty."""
    options: Mapping[str, str] = field(default_factory=dict)


def parse_address(uri: str, kind: str, forms: Mapping[str, str]) -> Address:
    """Take an address apart; `forms` maps each accepted scheme to how it is written.

    Raises `SettingsError` naming every form when the scheme is not among them.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in forms:
        raise SettingsError(f"unknown {kind} '{uri}'; known: {', '.join(forms.values())}")
    place, mark, query = rest.rpartition("?")
    if not mark:
        return Address(scheme, rest)
    pairs = (item.partition("=") for item in query.split("&"))
    return Address(scheme, place, {name: value for name, _, value in pairs})


def take_options(address: Address, uri: str, known: Mapping[str, tuple[str, ...]]) -> None:
    """Raise `SettingsError` unless each option is known and has one of its values."""
    for name, value in address.options.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise SettingsError(f"{uri}: unknown option '{name}'; known: {have}")
        if value not in known[name]:
            raise SettingsError(
                f"{uri}: '{name}' must be {' or '.join(known[name])}, got '{value}'"
            )
