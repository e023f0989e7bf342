"""The history of moods: for how long each was seen in each minute, in SQLite, and nothing else.

No image, no face, no number of people and no identity. Off unless `[history] keep_days` is set.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from datetime import time as time_of_day
from pathlib import Path
from typing import TypeVar

import msgspec

from edgefer.errors import HistoryError, SettingsError
from edgefer_device.sinks.history import FILE, SEASON

log = logging.getLogger(__name__)

K = TypeVar("K")
MINUTES_A_DAY = 24 * 60
SCHEMA = 1
APPLICATION = 0x65464552
"""SQLite's application id of our files: `eFER`."""
BUSY_SECONDS = 5.0
"""How long one program waits for another that writes."""
NEWER_DAYS = 3
"""With entries, before older ones are deleted: a clock that is wrong has seldom seen as many."""

TABLE = """
CREATE TABLE IF NOT EXISTS moods (
    minute INTEGER NOT NULL,  -- minutes since 1970-01-01 00:00 UTC
    mood TEXT NOT NULL,
    seconds REAL NOT NULL,    -- for which it was seen in that minute
    PRIMARY KEY (minute, mood)
) WITHOUT ROWID
"""
ADD = """
INSERT INTO moods VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds
"""
SOUND = """(
    typeof(minute) = 'integer' AND minute BETWEEN 0 AND 68374080  -- the year 2100
    AND typeof(mood) = 'text' AND length(mood) BETWEEN 1 AND 100
    AND mood NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
    AND typeof(seconds) IN ('real', 'integer') AND seconds BETWEEN 0 AND 1e6
)"""
"""An entry that can be one of ours: SQLite keeps any value in any column."""
SPANS = f"""
SELECT minute / :span * :span, mood, sum(seconds) FROM moods
WHERE minute >= :since AND {SOUND} GROUP BY 1, 2 ORDER BY 1, 2
"""

MAGIC = b"SQLite format 3\0"
"""With which each file of SQLite begins."""

Minutes = Mapping[int, Mapping[str, float]]
"""Seconds by minute (since 1970, UTC) and mood."""


class MoodSpan(msgspec.Struct, frozen=True):
    """How long a mood was seen in a span of time."""

    minute: int
    """The span's first minute, since 1970-01-01 00:00 UTC."""
    mood: str
    seconds: float


class HistoryStore:
    """The file of the history; every method raises `HistoryError` when it cannot be used.

    It is opened for each call and closed again, so that at rest there is one whole file,
    and no program keeps another from deleting.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = 0
        self._version: int | None = None

    def add(self, minutes: Minutes) -> None:
        """Add what was seen: all of it, or nothing, as where `delete` was called meanwhile."""
        rows = [
            (minute, mood, round(seconds, 1))
            for minute, moods in minutes.items()
            for mood, seconds in moods.items()
        ]
        try:
            with self._open() as file, file:
                file.execute("BEGIN IMMEDIATE")
                if self._is_version(file):
                    file.executemany(ADD, rows)
        finally:
            self._written = self._time()

    def prune(self, now: int, keep_days: int) -> int:
        """Delete what is older than so many days; return the number of entries deleted.

        Older by the clock, whose minute is `now`, and by the newest entry, and only where
        `NEWER_DAYS` days were kept since: a clock that jumps for a day deletes nothing.
        """
        with self._open() as file, file:
            (newest,) = file.execute(f"SELECT max(minute) FROM moods WHERE {SOUND}").fetchone()
            before = min(now, newest or 0) - keep_days * MINUTES_A_DAY
            (days,) = file.execute(
                f"SELECT count(DISTINCT minute / {MINUTES_A_DAY}) FROM moods "
                f"WHERE minute BETWEEN ? AND ? AND {SOUND}",
                [before, now + MINUTES_A_DAY],
            ).fetchone()
            if days < min(NEWER_DAYS, keep_days):
                return 0
            return file.execute("DELETE FROM moods WHERE minute < ?", [before]).rowcount

    def spans(self, minutes: int = 1, since: int = 0) -> list[MoodSpan]:
        """Return the sums over spans of so many minutes, oldest first."""
        with self._open() as file:
            return [
                MoodSpan(*row) for row in file.execute(SPANS, {"span": minutes, "since": since})
            ]

    def last_days(self, days: int | None) -> list[MoodSpan]:
        """Return the minutes of the last so many days, today among them; None is all of them.

        Entries that cannot be ours are left out, and their number is logged.
        """
        with self._open() as file:
            query = f"SELECT count(*) FROM moods WHERE {SOUND} IS NOT TRUE"
            (unsound,) = file.execute(query).fetchone()
        if unsound:
            log.warning("%s: damaged entries left out: %s", self.path, unsound)
        return self.spans(since=0 if days is None else first_minute(time.time(), days))

    def delete(self) -> int:
        """Delete everything for good, and return the number of entries deleted.

        The file is written anew, so that no page of it still holds what was deleted; what
        a flash card keeps in blocks that it took out of use, nobody can reach or erase.
        """
        try:
            with self._open() as file:
                with file:
                    file.execute("BEGIN IMMEDIATE")
                    (count,) = file.execute("SELECT count(*) FROM moods").fetchone()
                    # That counts the version of the schema up, by which a daemon knows of it.
                    file.execute("DROP TABLE moods")
                    file.execute(TABLE)
                file.execute("VACUUM")
                file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return int(count)
        except HistoryError as exc:
            if not self.is_damaged(exc.__cause__):
                raise
            log.warning("%s: is damaged; the file is removed", self.path)
            for end in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
            return 0

    @property
    def is_touched(self) -> bool:
        """Whether anything opened the file since `is_emptied` looked into it."""
        return self._time() != self._written

    def is_emptied(self) -> bool:
        """Whether any program deleted everything since this was asked last."""
        # A damaged file is removed, and made anew here.
        known, removed = self._version is not None, not self.path.exists()
        try:
            with self._open() as file:
                same = self._is_version(file)
        finally:
            self._written = self._time()
        return known and (removed or not same)

    def _is_version(self, file: sqlite3.Connection) -> bool:
        """Whether the schema is as it was when this was asked last, or it was not asked yet."""
        before = self._version
        (self._version,) = file.execute("PRAGMA schema_version").fetchone()
        return before in (None, self._version)

    def _time(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def is_damaged(self, cause: BaseException | None) -> bool:
        """Whether SQLite refused a file of its own: what is no database is somebody else's."""
        # UnicodeDecodeError: of SQLite's own error, which repeats a damaged schema.
        refused = isinstance(cause, (sqlite3.DatabaseError, UnicodeDecodeError))
        if not refused or isinstance(cause, sqlite3.OperationalError):
            return False
        try:
            with self.path.open("rb") as file:
                return file.read(len(MAGIC)) == MAGIC
        except OSError:
            return False

    def check(self) -> None:
        """Raise `HistoryError` for a file that is damaged or not a history."""
        with self._open() as file:
            (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            # Nobody else on the machine needs to read it; SQLite's journals get the same mode.
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
            connection.text_factory = lambda text: text.decode(errors="replace")
            with contextlib.closing(connection) as file:
                self._prepare(file)
                yield file
        except HistoryError:  # an OSError too, and already in words
            raise
        except (sqlite3.Error, OSError, UnicodeDecodeError) as exc:
            why = str((exc.strerror if isinstance(exc, OSError) else None) or exc)
            if isinstance(exc, UnicodeDecodeError):
                why = "it is damaged"
            if self.is_damaged(exc):
                why += "; edgefer history --delete removes it"
            elif type(exc) is sqlite3.DatabaseError:
                why += "; move it out of the way"
            raise HistoryError(f"{self.path}: the history cannot be used: {why}") from exc

    def _prepare(self, file: sqlite3.Connection) -> None:
        """Initialize a new file, and check that an old one is a history."""
        (application,) = file.execute("PRAGMA application_id").fetchone()
        (version,) = file.execute("PRAGMA user_version").fetchone()
        (tables,) = file.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, tables) == (0, 0, 0):
            file.execute("PRAGMA journal_mode = WAL")
            with file:
                file.execute("BEGIN IMMEDIATE")
                file.execute(TABLE)
                file.execute(f"PRAGMA application_id = {APPLICATION}")
                file.execute(f"PRAGMA user_version = {SCHEMA}")
        elif application != APPLICATION:
            raise HistoryError(f"{self.path}: is not a history of edgefer; move it out of the way")
        elif version != SCHEMA:
            raise HistoryError(
                f"{self.path}: is a history of version {version}, this program writes "
                f"{SCHEMA}; update edgefer, or move the file out of the way"
            )
        # Deleted entries are overwritten and not only unlinked.
        file.execute("PRAGMA secure_delete = ON")
        file.execute("PRAGMA synchronous = NORMAL")


def find_store(folder: Path, fallback: Path | None = None) -> HistoryStore:
    """Return the history in a state folder, or in the `fallback` where that one alone has any.

    Raises `SettingsError` where none was ever kept.
    """
    stores = [HistoryStore(one / FILE) for one in (folder, fallback) if one is not None]
    found = next((store for store in stores if store.path.exists()), None)
    if found is None:
        raise SettingsError(
            f"{stores[0].path}: no history is kept here; keep_days = {SEASON} under [history] "
            "switches it on, --config names the file where that stands"
        )
    return found


def totals(
    spans: Iterable[MoodSpan], key: Callable[[datetime], K], zone: tzinfo | None = None
) -> dict[K, dict[str, float]]:
    """Return the seconds of each mood, grouped by a `key` of local time."""
    groups: defaultdict[K, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for span in spans:
        groups[key(local(span.minute, zone))][span.mood] += span.seconds
    return {key: dict(moods) for key, moods in groups.items()}


def local(minute: int, zone: tzinfo | None = None) -> datetime:
    """Return the local time of a minute since 1970; without a zone, the machine's own."""
    return datetime.fromtimestamp(60 * minute, zone)


def first_minute(now: float, days: int, zone: tzinfo | None = None) -> int:
    """Return the minute with which the last `days` days began, today among them.

    `now` is in seconds since 1970.
    """
    today = datetime.fromtimestamp(now, zone).date()
    first = datetime.combine(today - timedelta(days=days - 1), time_of_day.min, zone)
    return int(first.timestamp() // 60)
