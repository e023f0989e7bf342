"""The newest word for each topic: a slow broker misses the older ones, never the last."""

from __future__ import annotations

import asyncio


class Latest:
    """Keeps one payload a topic; one task puts, another takes, both in the same loop."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._unsaid: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._emptied = asyncio.Event()

    def put(self, topic: str, payload: bytes) -> None:
        """Replace what is to be said, even by the same; topics keep their turn."""
        self._payloads[topic] = payload
        self._unsaid[topic] = None
        self._emptied.clear()
        self._changed.set()

    async def take(self) -> tuple[str, bytes]:
        """Wait for something unsaid and return it, topic and payload; the last one is said."""
        while not self._unsaid:
            self._emptied.set()
            self._changed.clear()
            await self._changed.wait()
        topic = next(iter(self._unsaid))
        del self._unsaid[topic]
        return topic, self._payloads[topic]

    def again(self) -> None:
        """Let everything be said again: the broker may have forgotten it."""
        for topic in self._payloads:
            self._unsaid[topic] = None
        self._emptied.clear()
        self._changed.set()

    async def emptied(self) -> None:
        """Wait until all is said."""
        await self._emptied.wait()
