"""The `[mirror]` table: how the page speaks and when its night is."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from edgefer_device.sinks.content.settings import time_of_day

LANGUAGES = Path(__file__).parent / "page" / "languages"
"""One JSON file of texts for each language, by its code (BCP 47)."""
AUTO = "auto"
LONGEST_NAME = 24
LEAST_HOURS, MOST_HOURS = 0.5, 24


def languages() -> list[str]:
    """Return the codes of the languages that the page has."""
    return sorted(path.stem for path in LANGUAGES.glob("*.json"))


class MirrorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mirror]` table."""

    language: str = AUTO
    """A code such as `de`; auto takes the browser's, where the page has it."""
    greeting: bool = True
    """Whether the page greets whoever comes."""
    name: str = ""
    """Whom the greeting names."""
    evening: str = "22:00"
    """From when the page is dimmed, local time."""
    morning: str = "06:00"
    """Until when."""
    hours: float = 3.0
    """That the ribbon comes to cover; it begins with ten minutes."""

    def __post_init__(self) -> None:
        known = [AUTO, *languages()]
        if self.language not in known:
            nearest = difflib.get_close_matches(self.language, known, n=1)
            hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
            raise ValueError(f"language must be one of {', '.join(known)}{hint}")
        if len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise ValueError(f"name must be one line of at most {LONGEST_NAME} characters")
        if not LEAST_HOURS <= self.hours <= MOST_HOURS:
            raise ValueError(f"hours must be {LEAST_HOURS} to {MOST_HOURS}, got {self.hours:g}")
        time_of_day(self.evening)
        time_of_day(self.morning)
