"""How a model's labels are shown: colours and names of one's own, in the bundle."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from edgefer.errors import SettingsError
from edgefer.settings import parse, read_toml

COLOUR, LANGUAGE = re.compile("#[0-9a-fA-F]{6}"), re.compile("[a-z]{2,3}")
FALLBACK = "en"
LONGEST_NAME = 40
"""Of a label as it is shown, characters."""


class Appearance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Colours and translations of labels; what is left out is shown as by default."""

    colours: dict[str, str] = {}
    """By label: `#rrggbb`."""
    names: dict[str, dict[str, str]] = {}
    """By code of the language, `de`, then by label; English where a language is not there."""

    def __post_init__(self) -> None:
        for label, colour in self.colours.items():
            if not COLOUR.fullmatch(colour):
                raise ValueError(f"colours: '{label}' must be such as #ffcc00, got '{colour}'")
        for code, names in self.names.items():
            if not LANGUAGE.fullmatch(code):
                raise ValueError(f"names: a language must be such as de, got '{code}'")
            for name in names.values():
                if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
                    raise ValueError(f"names: must have 1 to {LONGEST_NAME} characters: '{name}'")

    def require_labels(self, labels: Iterable[str]) -> None:
        """Raise ValueError for a label that is none of the model's."""
        known = tuple(labels)
        used = {*self.colours, *(label for names in self.names.values() for label in names)}
        if unknown := sorted(used - {*known}):
            raise ValueError(f"no label '{unknown[0]}'; the labels are: {', '.join(known)}")

    def names_in(self, code: str) -> dict[str, str]:
        """Return the names by label in a language, else in English."""
        return self.names.get(code) or self.names.get(FALLBACK, {})


def read_appearance(path: Path | None) -> Appearance:
    """Read a TOML file of `[colours]` and `[names.LANGUAGE]`; raise `SettingsError`."""
    return parse(read_toml(path), Appearance, str(path)) if path else Appearance()


def require_labels(appearance: Appearance, labels: Iterable[str], source: str) -> None:
    """Raise `SettingsError`, naming `source`, for a label that is none of the model's."""
    try:
        appearance.require_labels(labels)
    except ValueError as exc:
        raise SettingsError(f"{source}: {exc}") from None
