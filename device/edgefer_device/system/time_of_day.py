"""Times of day as settings have them; apart from `clock`, which help loads without msgspec."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated

from msgspec import Meta

TIME = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
TimeOfDay = Annotated[
    str, Meta(pattern=rf"^{TIME}\Z", extra={"expected": "a time of day such as 06:30"})
]
"""Hours and minutes as settings have them; `time_of_day` reads it."""


def time_of_day(text: TimeOfDay) -> time:
    """Read a time of day."""
    return datetime.strptime(text, "%H:%M").time()
