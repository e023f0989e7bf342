"""The history as a table, CSV or JSON lines."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timezone, tzinfo
from pathlib import Path

import msgspec
from rich.cells import cell_len
from rich.table import Table

from edgefer.errors import SettingsError
from edgefer.files import write_atomic
from edgefer.messages import to_json
from edgefer.terminal import Terminal
from edgefer_device.sinks.history.store import MoodSpan, local, totals
from edgefer_device.system.clock import duration


class DayShares(msgspec.Struct, frozen=True):
    """One day of local time."""

    date: date
    seconds: dict[str, float]
    """By mood, for how long it was seen."""

    @property
    def total(self) -> float:
        """Seconds with a face."""
        return sum(self.seconds.values())

    def share(self, mood: str) -> float:
        """The mood's share of the time with a face, 0..1."""
        return self.seconds.get(mood, 0.0) / self.total if self.total else 0.0


class Entry(msgspec.Struct, frozen=True):
    """One entry of the history as it is exported."""

    minute: datetime
    """When the minute began; ISO 8601, UTC."""
    mood: str
    seconds: float
    """For how long the mood was seen in that minute."""

    @classmethod
    def of(cls, span: MoodSpan) -> Entry:
        """Return an entry of the store."""
        return cls(local(span.minute, timezone.utc), span.mood, span.seconds)


def by_day(spans: Iterable[MoodSpan], zone: tzinfo | None = None) -> list[DayShares]:
    """Return the days on which anything was seen, oldest first."""
    days = totals(spans, datetime.date, zone)
    return [DayShares(day, days[day]) for day in sorted(days)]


def moods_of(days: Iterable[DayShares]) -> list[str]:
    """Return all moods of some days, the one seen longest first."""
    seconds: Counter[str] = Counter()
    for day in days:
        seconds.update(day.seconds)
    return sorted(seconds, key=lambda mood: (-seconds[mood], mood))


def show(spans: Sequence[MoodSpan]) -> None:
    """Print some history by day."""
    if not spans:
        Terminal(stderr=True).print("Nothing was seen in these days.")
        return
    terminal = Terminal()
    terminal.print("Percent of the time with a face, by day")
    for table in tables(by_day(spans), terminal.width):
        terminal.print()
        terminal.print(table, crop=False)


def tables(days: Sequence[DayShares], width: int) -> Iterator[Table]:
    """Yield the days as tables of at most `width` columns of text, as many as it takes.

    Time with a face, and each mood's percentage of it. Nothing is cut: one mood a table is the
    least.
    """
    moods = moods_of(days)
    while moods:
        left = width - len("2026-11-30 Mon 10 h 41")
        fitting = 0
        for mood in moods:
            left -= 1 + max(cell_len(mood), len("100"))
            fitting += left >= 0
        yield _table(days, moods[: max(1, fitting)])
        moods = moods[max(1, fitting) :]


def _table(days: Sequence[DayShares], moods: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False)
    for heading in ("day", "time", *moods):
        table.add_column(heading, justify="left" if heading == "day" else "right", no_wrap=True)
    for day in days:
        shares = (f"{100 * day.share(mood):.0f}" if day.share(mood) else "" for mood in moods)
        table.add_row(f"{day.date} {day.date:%a}", duration(day.total), *shares)
    return table


def to_csv(spans: Iterable[MoodSpan]) -> bytes:
    """Return entries as CSV with a head line, times in UTC."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(Entry.__struct_fields__)
    for entry in map(Entry.of, spans):
        rows.writerow([f"{entry.minute:%Y-%m-%dT%H:%M:%SZ}", entry.mood, entry.seconds])
    return text.getvalue().encode()


def write(path: Path, content: bytes) -> None:
    """Write an exported file; raise `SettingsError` if it cannot be written."""
    try:
        write_atomic(path, content)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written: {exc.strerror}") from exc


def to_json_lines(spans: Iterable[MoodSpan]) -> list[str]:
    """Return entries as JSON, one a line."""
    return [to_json(Entry.of(span)) for span in spans]
