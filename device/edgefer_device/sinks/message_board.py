"""The line of text that the rules have put up, for the mirror page to show."""

from __future__ import annotations

import time

import msgspec

from edgefer_device.system.clock import Clock


class Line(msgspec.Struct, frozen=True):
    """One line of content."""

    text: str
    link: str | None = None
    """An http or https address that the line leads to."""


class Board:
    """Holds lines until their time is over; of several the newest stands in front."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._standing: dict[str, tuple[Line, float]] = {}

    def put(self, owner: str, line: Line, until: float) -> None:
        """Put up an owner's line, in front of all others, until a time on the clock."""
        self._standing.pop(owner, None)
        self._standing[owner] = line, until

    def extend(self, owner: str, until: float) -> None:
        """Let an owner's line stand longer, in its place; nothing where it stands no more."""
        line, before = self._standing.get(owner, (None, 0.0))
        if line is not None and before > self._clock():
            self._standing[owner] = line, max(before, until)

    @property
    def line(self) -> Line | None:
        """The line to show now."""
        now = self._clock()
        self._standing = {
            owner: (line, until) for owner, (line, until) in self._standing.items() if until > now
        }
        return next((line for line, _ in reversed(self._standing.values())), None)
