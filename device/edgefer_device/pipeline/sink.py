"""The sink protocol, and the queue before each sink."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Protocol

from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.pipeline.health import DeadlineMonitor


class Sink(Protocol):
    """Takes reports; `async with` is the only way in.

    Entering acquires (a connection, a port, a file) or raises `EdgeferError`; leaving
    releases, and may be repeated. A sink that inherits from this holds nothing by default.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def publish(self, report: Report) -> None:
        """Take one report; reports come in order, one at a time."""
        ...


class SinkQueue:
    """Queue before one sink, so that no sink holds up another or the pipeline.

    With `lossy` a full queue drops its oldest report; without it `offer` waits. The `monitor`
    learns when each report is handed over, and how many were dropped.
    """

    def __init__(
        self, sink: Sink, lossy: bool, monitor: DeadlineMonitor, capacity: int = 8
    ) -> None:
        self._sink, self._lossy, self._capacity = sink, lossy, capacity
        self._monitor = monitor
        self._reports: deque[Report] = deque()
        self._ended = False
        self._changed = asyncio.Condition()

    async def offer(self, report: Report) -> None:
        """Queue a report."""
        async with self._changed:
            if self._lossy and len(self._reports) >= self._capacity:
                self._reports.popleft()
                self._monitor.dropped += 1
            await self._changed.wait_for(lambda: len(self._reports) < self._capacity)
            self._reports.append(report)
            self._changed.notify_all()

    async def end(self) -> None:
        """Accept no more reports."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def deliver(self) -> None:
        """Publish reports in order until the end; raises what the sink raises."""
        while (report := await self._take()) is not None:
            self._monitor.begin()
            await self._sink.publish(report)
            self._monitor.done()

    async def _take(self) -> Report | None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._reports or self._ended)
            report = self._reports.popleft() if self._reports else None
            self._changed.notify_all()
            return report
