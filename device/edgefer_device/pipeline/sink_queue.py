"""The queue before one sink, so that no sink can hold up another or the pipeline."""

from __future__ import annotations

import asyncio
from collections import deque

from edgefer.messages import Report
from edgefer_device.pipeline.sink import Sink


class SinkQueue:
    """Reports on their way to one sink.

    With `lossy` a full box loses its oldest report; without it `offer` waits.
    """

    def __init__(self, sink: Sink, lossy: bool, capacity: int = 8) -> None:
        self._sink, self._lossy, self._capacity = sink, lossy, capacity
        self._reports: deque[Report] = deque()
        self._ended = False
        self._changed = asyncio.Condition()
        self.dropped = 0
        """Reports that this sink was too slow for."""

    async def offer(self, report: Report) -> None:
        """Leave a report for the sink."""
        async with self._changed:
            if self._lossy and len(self._reports) >= self._capacity:
                self._reports.popleft()
                self.dropped += 1
            await self._changed.wait_for(lambda: len(self._reports) < self._capacity)
            self._reports.append(report)
            self._changed.notify_all()

    async def end(self) -> None:
        """Say that no more reports come."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def deliver(self) -> None:
        """Hand reports to the sink in order until the end; raises what the sink raises."""
        while (report := await self._take()) is not None:
            await self._sink.publish(report)

    async def _take(self) -> Report | None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._reports or self._ended)
            report = self._reports.popleft() if self._reports else None
            self._changed.notify_all()
            return report
