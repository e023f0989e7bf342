"""The gate's limits: the `[gate]` table of a TOML file."""

from __future__ import annotations

import getpass
import math
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgefer.errors import SettingsError
from edgefer.manifest import Allowed
from edgefer.settings import parse, read_toml


class GateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the gate; shares are 0..1. `inf` for what may be at most, or 0 for what must
    be at least, leaves a check out."""

    accuracy_drop: float = 0.005
    """Of each format on PrivateTest, against float, at most."""
    class_recall_drop: float = 0.03
    """Of the class that loses most, against float, at most."""
    class_images: float = 2
    """Images of a class that may be lost though they are a larger share of it."""
    agreement: float = 0.97
    """Share of images with the same label as float, at least."""
    calibration_error: float = 0.05
    """Of int8 formats at the bundle's temperature, at most."""
    float_tensors: float = 0
    """In int8 TFLite files, at most."""
    bytes: float = 1_000_000
    """Of each int8 file, at most."""
    mmac: float = 60.0
    """Million multiply-accumulates an inference, at most."""
    parity: float = 0.995
    """Share of images with the same label in the formats of one int8 model, at least.
    Measured: 99.97 % and more."""
    label_order: float = 0.01
    """Accuracy that exchanging two labels would gain on PublicTest, at most."""
    edgetpu_mapped: float = 0.0
    """Share of the operations that an Edge TPU would run, at least."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if math.isnan(value) or value < 0:
                raise ValueError(f"{name} must be 0 or more, got {value}")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gate: GateLimits = GateLimits()


def load_limits(path: Path | None) -> GateLimits:
    """Return the limits in a TOML file's `[gate]`, the defaults for those it leaves out.

    Raises `SettingsError` or `UnknownKey`.
    """
    return parse(read_toml(path), _File, str(path)).gate if path else GateLimits()


@dataclass(frozen=True, slots=True)
class Exemption:
    """A person's permission for one check to fail."""

    name: str
    """Of the check."""
    allowed: Allowed


def exemption(allow: str | None, because: str | None) -> Exemption | None:
    """Return the exemption for a check, in the name of who runs this; None where none is named.

    Raises `SettingsError` for a check without a reason, and the reverse.
    """
    if not allow and not because:
        return None
    if not allow or not because or not because.strip():
        raise SettingsError(
            "--allow NAME requires --because TEXT, and the reverse: name one check and the reason "
            "why it may fail"
        )
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    return Exemption(allow, Allowed(who, " ".join(because.split())))
