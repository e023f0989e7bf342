"""Where things are kept that can be made again, but not quickly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder: systemd's of a unit with `CacheDirectory=`, else the user's own (XDG).

    It is not made here. The user's own is `$XDG_CACHE_HOME/edgefer`, by default
    `~/.cache/edgefer` (XDG Base Directory Specification 0.8).
    """
    given = environment.get("CACHE_DIRECTORY")
    if given:
        # systemd joins several with colons; the unit names one.
        return Path(given.partition(":")[0])
    home = environment.get("XDG_CACHE_HOME")
    return Path(home or Path.home() / ".cache") / "edgefer"
