"""Where the daemon keeps what must outlive it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

SYSTEM = Path("/var/lib/edgefer")
"""What systemd makes of `StateDirectory=edgefer`."""


def user_path(text: str) -> Path:
    """Return a path that a user wrote, `~` and `~user` expanded where there is such a home."""
    with contextlib.suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def state_folder(chosen: str | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder: the chosen one, else systemd's, else the user's own (XDG).

    It is not made here. The user's own is `$XDG_STATE_HOME/edgefer`, by default
    `~/.local/state/edgefer` (XDG Base Directory Specification 0.8).
    """
    if chosen is not None:
        return user_path(chosen)
    given = environment.get("STATE_DIRECTORY")
    if given:
        # systemd joins several with colons; the unit names one.
        return Path(given.partition(":")[0])
    home = environment.get("XDG_STATE_HOME")
    return Path(home or Path.home() / ".local" / "state") / "edgefer"
