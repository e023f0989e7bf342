"""Shares of moods, minute by minute, with no image and no identity.

The `[history]` table stands here, so that SQLite is loaded only where a history is kept.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

FILE = "history.sqlite"
"""The history's name in the state folder."""
SEASON = 90
"""A good value for `keep_days`."""


class HistorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[history]` table."""

    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    """Days for which the history is kept; 0 keeps none and writes nothing."""
