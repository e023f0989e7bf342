"""Check results, and the checks of a machine that the doctor and a deployment share."""

from __future__ import annotations

import getpass
import os
import platform
import struct
import sys
from enum import Enum

import msgspec

ARCHITECTURES = ("aarch64", "arm64", "x86_64")
"""Those that LiteRT has wheels for, all of 64 bits."""
OLDEST, NEWEST = (3, 10), (3, 13)
"""The versions of Python that edgefer is tested with."""


class Level(str, Enum):
    """The severity of a result."""

    ok = "ok"
    warn = "warn"
    """The daemon runs, but not as well as it could."""
    fail = "fail"
    """It does not run, or not as configured."""


class Check(msgspec.Struct, frozen=True):
    """The result of one check."""

    level: Level
    what: str
    """What was checked."""
    found: str
    advice: str | None = None
    """What to do; None where nothing is to be done."""


def ok(what: str, found: str) -> Check:
    """Return a passed check."""
    return Check(Level.ok, what, found)


def warn(what: str, found: str, advice: str) -> Check:
    """Return a check with a warning."""
    return Check(Level.warn, what, found, advice)


def fail(what: str, found: str, advice: str) -> Check:
    """Return a failed check."""
    return Check(Level.fail, what, found, advice)


def current_user() -> str:
    """Return this user's name, or number: a service's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def first_line(error: Exception) -> str:
    """Return an error in one line, with its kind."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def check_architecture(machine: str = "", bits: int = 0) -> Check:
    """Check for 64 bits, in the kernel and in Python."""
    machine = machine or platform.machine()
    bits = bits or 8 * struct.calcsize("P")
    found = f"{machine}, {bits}-bit Python"
    if machine in ARCHITECTURES and bits == 64:
        return ok("architecture", found)
    return fail("architecture", found, "LiteRT needs 64 bits: install a 64-bit system")


def check_python(version: tuple[int, int] | None = None) -> Check:
    """Check for a tested version of Python."""
    version = version or sys.version_info[:2]
    found = f"{version[0]}.{version[1]} at {sys.executable}"
    supported = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if version < OLDEST:
        return fail("python", found, f"edgefer needs {supported}: create its venv with one of them")
    if version > NEWEST:
        return warn("python", found, f"tested with {supported}: use one of them if a part fails")
    return ok("python", found)
