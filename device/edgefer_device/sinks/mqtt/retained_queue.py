"""The newest payload of each topic: a slow broker misses older ones, never the last."""

from __future__ import annotations

import asyncio


class RetainedQueue:
    """Keep one payload a topic; one task puts, another takes, both in the same loop."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._pending: dict[str, None] = {}
        self._changed, self._drained = asyncio.Event(), asyncio.Event()

    def put(self, topic: str, payload: bytes) -> None:
        """Replace a topic's payload and queue it, even if it is the same."""
        self._payloads[topic] = payload
        self._queue(topic)

    def republish(self) -> None:
        """Queue every topic again: the broker may have lost what it retained."""
        self._queue(*self._payloads)

    def _queue(self, *topics: str) -> None:
        self._pending |= dict.fromkeys(topics)
        self._drained.clear()
        self._changed.set()

    async def take(self) -> tuple[str, bytes]:
        """Wait for a queued topic and return it with its payload; the one before is published."""
        while not self._pending:
            self._drained.set()
            self._changed.clear()
            await self._changed.wait()
        topic = next(iter(self._pending))
        del self._pending[topic]
        return topic, self._payloads[topic]

    async def drained(self) -> None:
        """Wait until everything is published."""
        await self._drained.wait()
