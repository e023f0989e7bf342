"""`console:`, a line of text whenever the mood changes."""

from __future__ import annotations

from typing_extensions import Self

from edgefer.messages import UNSURE, Report
from edgefer_device.sinks.lines import LineWriter

STDOUT = 1


class ConsoleSink:
    """Write a line to standard output when the mood changes."""

    def __init__(self, descriptor: int = STDOUT, close_seconds: float = 1.0) -> None:
        """At the end a reader that has stopped reading is given `close_seconds`."""
        self._descriptor, self._close_seconds = descriptor, close_seconds
        self._lines: LineWriter | None = None
        self._last: tuple[str | None, str | None] | None = None

    async def __aenter__(self) -> Self:
        self._lines = LineWriter(self._descriptor, "console:", self._close_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._lines is not None:
            self._lines.close()
        self._lines = None

    async def publish(self, report: Report) -> None:
        """Write a line if the mood changed."""
        assert self._lines is not None, "a sink is used inside 'async with'"
        if self._last != (report.mood, report.reason):
            self._last = (report.mood, report.reason)
            await self._lines.write(describe(report))


def describe(report: Report) -> str:
    """Return a report as text: `  12.3 s  happy     87 %  (1 face)`."""
    head = f"{report.time:7.1f} s  "
    if report.mood is None:
        return head + "no face"
    faces = "1 face" if len(report.faces) == 1 else f"{len(report.faces)} faces"
    if report.reason not in (None, UNSURE):
        # The face was not classified, so that there is no confidence.
        return f"{head}{report.mood:<9} {report.reason:<7} ({faces})"
    return f"{head}{report.mood:<9} {100 * (report.confidence or 0):3.0f} %  ({faces})"
