"""One page that is open somewhere: its socket, and what waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

BACKLOG = 50
"""Messages (10 s of them) that wait for a slow page before it is cut off.

The browser then connects again and gets everything afresh in its hello."""


class OpenPage:
    """One open page: its socket, and the messages that wait for it."""

    def __init__(
        self,
        channel: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        first: str,
        hear: Callable[[str], None],
    ) -> None:
        """Take the page's socket, its first message, and what to do with its own."""
        self._channel, self._transport, self._hear = channel, transport, hear
        self._waiting: asyncio.Queue[str] = asyncio.Queue(BACKLOG)
        self._waiting.put_nowait(first)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def tell(self, text: str) -> None:
        """Queue a message, or cut the page off when it has not read for too long."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.leave()

    def leave(self) -> None:
        """End `attend`."""
        for task in self._tasks:
            task.cancel()

    async def attend(self) -> None:
        """Send what waits until the page goes, is cut off or the server ends."""
        self._tasks = (
            asyncio.create_task(self._send(), name="mirror page, sending"),
            asyncio.create_task(self._listen(), name="mirror page, listening"),
        )
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leave()
            ends = await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._hang_up()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):  # the page left while we spoke
            while True:
                await self._channel.send_str(await self._waiting.get())

    async def _listen(self) -> None:
        async for message in self._channel:
            if message.type is WSMsgType.ERROR:
                return
            if message.type is WSMsgType.TEXT:
                self._hear(message.data)

    async def _hang_up(self) -> None:
        try:
            await asyncio.wait_for(self._channel.close(code=WSCloseCode.GOING_AWAY), 1.0)
        except (ConnectionError, asyncio.TimeoutError):
            # It reads nothing, so what we sent would stay in the buffers for ever.
            if self._transport is not None:
                self._transport.abort()
