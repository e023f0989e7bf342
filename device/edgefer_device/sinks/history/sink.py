"""The sink that keeps the history: seconds of each mood and minute, stored every ten."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable

from typing_extensions import Self

from edgefer.errors import HistoryError
from edgefer.messages import Report
from edgefer_device.sinks.history.store import MINUTES_A_DAY, HistoryStore
from edgefer_device.system.clock import Clock, Stopwatch
from edgefer_device.system.service import is_shortage

log = logging.getLogger(__name__)

EVERY = 10
"""Minutes between two writes. Each writes some 15 blocks of 4 KiB: every minute, an SD card would
get 110 MB a day."""
PENDING = 120
"""Minutes kept in memory while they cannot be stored; beyond that the oldest are lost."""
TROUBLE = "the history cannot be written"


class HistorySink:
    """Add up the seconds of each mood, and store whole minutes.

    A power cut loses `EVERY` minutes at most. A full disk ends nothing: what could not be stored
    is tried again the next minute.
    """

    def __init__(
        self,
        store: HistoryStore,
        keep_days: int,
        clock: Clock = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`clock` measures how long a mood was seen; `now` (seconds since 1970) says when."""
        self._store, self._keep_days = store, keep_days
        self._stopwatch, self._now = Stopwatch(clock), now
        self._mood: str | None = None
        self._minutes: dict[int, dict[str, float]] = {}
        self._minute = 0
        self._cleared_on: int | None = None
        self.fault: str | None = None
        """Why the last minute could not be written; None once one was."""

    async def __aenter__(self) -> Self:
        """Open the store; raises `HistoryError` for a foreign file, but not for a full disk."""
        try:
            await asyncio.to_thread(self._clear)
        except HistoryError as exc:
            if not _is_disk_full(exc.__cause__):
                raise
            log.warning("%s; trying again each minute", exc)
            self.fault = TROUBLE
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._write()

    async def publish(self, report: Report) -> None:
        """Add the time since the last report to the mood that it had."""
        await self._forget_deleted()
        if report.problem is not None:
            self._stopwatch.stop()
        passed, mood, self._mood = self._stopwatch.lap(), self._mood, report.mood
        minute = int(self._now() // 60)
        before, self._minute = self._minute, minute
        if minute // EVERY != before // EVERY or (self.fault is not None and minute != before):
            await self._write()
        if mood is not None and passed:
            moods = self._minutes.setdefault(minute, {})
            moods[mood] = moods.get(mood, 0.0) + passed

    async def _write(self) -> None:
        """Store what is added up; keep it if that fails."""
        await self._forget_deleted()
        try:
            if self._minutes:
                await asyncio.to_thread(self._store.add, self._minutes)
                self._minutes = {}
            if self._today() != self._cleared_on:
                await asyncio.to_thread(self._clear)
            if self.fault is not None:
                log.info("the history is written again")
            self.fault = None
        except HistoryError as exc:
            if self.fault is None:
                log.warning("%s; trying again each minute", exc)
            self.fault = TROUBLE
            while len(self._minutes) > PENDING:
                del self._minutes[min(self._minutes)]

    async def _forget_deleted(self) -> None:
        """Drop what is added up where `edgefer history --delete` deleted the rest."""
        with contextlib.suppress(HistoryError):  # writing says it
            if self._store.is_touched and await asyncio.to_thread(self._store.is_emptied):
                self._minutes = {}

    def _clear(self) -> None:
        """Delete what is older than the days to keep."""
        self._store.prune(int(self._now() // 60), self._keep_days)
        self._cleared_on = self._today()

    def _today(self) -> int:
        return int(self._now() // 60) // MINUTES_A_DAY


def _is_disk_full(cause: BaseException | None) -> bool:
    """Return whether the disk, and not the file, is at fault: SQLite calls that operational."""
    return is_shortage(cause) or isinstance(cause, sqlite3.OperationalError)
