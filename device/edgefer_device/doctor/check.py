"""One thing that was looked at, and how it stands."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from enum import Enum

import msgspec


class Level(str, Enum):
    """How a check came out."""

    ok = "ok"
    warn = "warn"
    """The daemon runs, but not as well as it could."""
    fail = "fail"
    """It does not run, or not as it was configured."""


class Check(msgspec.Struct, frozen=True):
    """One line of the doctor's."""

    level: Level
    what: str
    """What was looked at."""
    found: str
    advice: str | None = None
    """What to do; None where all is well."""


def ok(what: str, found: str) -> Check:
    """Return a check that came out well."""
    return Check(Level.ok, what, found)


def warn(what: str, found: str, advice: str) -> Check:
    """Return a check with a reservation."""
    return Check(Level.warn, what, found, advice)


def fail(what: str, found: str, advice: str) -> Check:
    """Return a check that failed."""
    return Check(Level.fail, what, found, advice)


def user() -> str:
    """Return this user's name, or number: a service's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def looked_at(what: str, check: Callable[[], Check]) -> Check:
    """Return what a check found; one that breaks has failed, and hides none of the others."""
    try:
        return check()
    except Exception as exc:
        found = f"cannot be looked at: {first_line(exc)}"
        return fail(what, found, "fix the failing checks above first")


def first_line(error: Exception) -> str:
    """Return an error in one line, with its kind."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
