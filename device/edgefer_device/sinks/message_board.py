"""Lines of text that content rules show on the mirror page."""

from __future__ import annotations

import time

import msgspec

from edgefer_device.system.clock import Clock


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of content."""

    text: str
    link: str | None = None
    """An http or https address that the line leads to."""
    mood: str | None = None
    """The label that the page names where the text has `{mood}`."""
    entry: str | None = None
    """Key of a line of the page's own library, in place of the text."""


class MessageBoard:
    """Hold lines until they expire; of several the newest is shown."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[int, tuple[Line, float]] = {}

    def put(self, owner: int, line: Line, until: float) -> None:
        """Show an owner's line, in front of all others, until a time on the clock."""
        self._lines.pop(owner, None)
        self._lines[owner] = line, until

    def extend(self, owner: int, until: float) -> None:
        """Show an owner's line longer, in its place; one that expired stays away."""
        line, before = self._lines.get(owner, (None, 0.0))
        if line is not None and before > self._clock():
            self._lines[owner] = line, max(before, until)

    @property
    def line(self) -> Line | None:
        """The line to show now."""
        now = self._clock()
        self._lines = {
            owner: (line, until) for owner, (line, until) in self._lines.items() if until > now
        }
        return next((line for line, _ in reversed(self._lines.values())), None)
