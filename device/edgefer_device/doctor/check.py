"""One thing that was looked at, and how it stands."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable

from edgefer_device.system.check import Check, fail


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
