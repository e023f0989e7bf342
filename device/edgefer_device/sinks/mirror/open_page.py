"""One open page: its WebSocket and the queue of messages to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from edgefer_device.system.rate_limit import RateLimit

log = logging.getLogger(__name__)

BACKLOG = 50
"""Messages (10 s of them) that wait for a slow page before it is disconnected.

The browser then connects again and gets everything afresh in its hello."""
MESSAGES_A_SECOND = 10
"""That a page may send: more than any finger does."""


class OpenPage:
    """Send queued messages to one page and pass its own messages on."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        first: str,
        on_message: Callable[[str], None],
    ) -> None:
        self._socket, self._transport, self._on_message = socket, transport, on_message
        self._queue: asyncio.Queue[str] = asyncio.Queue(BACKLOG)
        self._queue.put_nowait(first)
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._limit = RateLimit(MESSAGES_A_SECOND, 1.0)
        self._code = WSCloseCode.GOING_AWAY

    def send(self, text: str) -> None:
        """Queue a message; disconnect a page that has not read for too long."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.disconnect()

    def disconnect(self) -> None:
        """End `serve`."""
        for task in self._tasks:
            task.cancel()

    async def serve(self) -> None:
        """Exchange messages until the page leaves, is disconnected or the server ends."""
        self._tasks = (
            asyncio.create_task(self._send_loop(), name="mirror page, sending"),
            asyncio.create_task(self._receive_loop(), name="mirror page, receiving"),
        )
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.disconnect()
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _send_loop(self) -> None:
        with contextlib.suppress(ConnectionError):  # the page left meanwhile
            while True:
                await self._socket.send_str(await self._queue.get())

    async def _receive_loop(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.ERROR:
                return
            if not self._limit.allows():
                log.warning(
                    "mirror page: one sent more than %d messages a second and is closed",
                    MESSAGES_A_SECOND,
                )
                self._code = WSCloseCode.POLICY_VIOLATION
                return
            if message.type is WSMsgType.TEXT:
                self._on_message(message.data)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self._socket.close(code=self._code), 1.0)
        except (ConnectionError, asyncio.TimeoutError):
            # It reads nothing, so what was sent would stay in the buffers for ever.
            if self._transport is not None:
                self._transport.abort()
