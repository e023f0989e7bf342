"""Reading limits from a TOML file, and a person's permission for a check to fail."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgefer.errors import SettingsError
from edgefer.gate_limits import GateLimits
from edgefer.manifest import Allowed
from edgefer.settings import parse, read_toml


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gate: GateLimits = GateLimits()


def load_limits(path: Path) -> GateLimits:
    """Return the limits in a TOML file's `[gate]`, the defaults for those it leaves out.

    Raises `SettingsError` or `UnknownKey`.
    """
    return parse(read_toml(path), _File, str(path)).gate


@dataclass(frozen=True, slots=True)
class Exemption:
    """A person's permission for one check to fail."""

    name: str
    """Of the check."""
    allowed: Allowed


def exemptions(allow: Sequence[str], because: Sequence[str]) -> tuple[Exemption, ...]:
    """Return the exemptions for checks, in the name of who runs this.

    One reason stands for all, or each check has its own. Raises `SettingsError` for other counts.
    """
    reasons = [" ".join(text.split()) for text in because]
    if len(reasons) not in ((1, len(allow)) if allow else (0,)) or not all(reasons):
        raise SettingsError(
            "--allow NAME requires --because TEXT, and the reverse: name the checks and one reason "
            "for all, or a reason for each"
        )
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    each = reasons * len(allow) if len(reasons) == 1 else reasons
    return tuple(
        Exemption(name, Allowed(who, text)) for name, text in zip(allow, each, strict=True)
    )
