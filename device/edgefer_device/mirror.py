"""The smart mirror: a page on this machine that shows the mood as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from aiohttp import WSCloseCode, WSMsgType, web
from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.mirror_access import add_headers, guard, is_loopback
from edgefer_device.mirror_messages import (
    Content,
    Hello,
    History,
    Message,
    Moment,
    Tick,
    View,
    encode,
)
from edgefer_device.sinks.listening import check_port, listen
from edgefer_device.sinks.shared import Shared
from edgefer_device.sinks.status_pages import status_routes
from edgefer_device.week import week_routes

PAGE = Path(__file__).parent / "page"

BEATS = 4
"""Looks at the newest report a second: at most 4 views and 1 tick go to a page in a second."""

SILENCE = 3.0
"""Seconds without a report after which the last one no longer stands for now."""

BACKLOG = 50
"""Messages (10 s of them) that wait for a slow page before it is cut off.

The browser then connects again and gets everything afresh in its hello."""


class MirrorSink:
    """Serves the mirror page and tells every open page what is seen, over a WebSocket."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8137,
        *,
        shared: Shared | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: float = 10.0,
    ) -> None:
        """Remember where to listen; port 0 takes any free one.

        `heartbeat` is in seconds: a page that leaves a ping unanswered for half of it is dropped.
        Raises `SettingsError` for a port that cannot be.
        """
        check_port(port, "mirror page")
        self.host, self.port = host, port
        self.history = History()
        self._shared = shared or Shared()
        self._clock, self._heartbeat = clock, heartbeat
        self._view: View | None = None
        self._seen_at = -SILENCE
        self._audience: set[_Page] = set()
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The page's address, with the real port once entered."""
        return f"http://{_name_of(self.host)}:{self.port}/"

    @property
    def pages(self) -> int:
        """How many pages are connected now."""
        return len(self._audience)

    async def __aenter__(self) -> Self:
        self._runner = await listen(self._application(), self.host, self.port, "mirror page")
        self.port = self._runner.addresses[0][1]
        self._beat = asyncio.create_task(self._keep_time(), name="mirror beat")
        self._announce()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._beat is not None:
            self._beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beat
            self._beat = None
        if self._runner is not None:
            for page in list(self._audience):
                page.leave()
            await self._runner.cleanup()
            self._runner = None

    async def publish(self, report: Report) -> None:
        """Keep the report for the next beat; never waits for a page."""
        if report.problem is not None:
            # The page says itself that there is no picture, when no more reports come.
            return
        self._view = View.of(report)
        self._seen_at = self._clock()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[guard(self.host)])
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/ws", self._serve_socket)
        app.router.add_get("/", _serve_index)
        app.add_routes(status_routes(self._shared.health, self._shared.figures))
        app.add_routes(week_routes(self._shared.store))
        app.router.add_static("/", PAGE)
        return app

    def _announce(self) -> None:
        print(f"mirror page: {self.url}", file=sys.stderr, flush=True)
        if not is_loopback(self.host):
            print(
                f"warning: anyone who reaches {self.host} port {self.port} can read the moods;"
                " the page asks for no password yet",
                file=sys.stderr,
                flush=True,
            )

    async def _keep_time(self) -> None:
        """Tell the pages each change, and add a moment to the history once a second."""
        told, content, beat = None, self._content(), 0
        while True:
            view = self._current()
            if view is not None and view != told:
                self._tell(view)
            told = view
            if content != (content := self._content()):
                self._tell(content)
            if beat % BEATS == 0:
                self._tell(self._tick())
            beat += 1
            await asyncio.sleep(1 / BEATS)

    def _current(self) -> View | None:
        return self._view if self._clock() - self._seen_at < SILENCE else None

    def _tick(self) -> Tick:
        now, moment = self._clock(), None
        if self._view is not None and now - self._seen_at < 1.0 + 1 / BEATS:
            moment = Moment(at=now, mood=self._view.mood, confidence=self._view.confidence)
            self.history.add(moment)
        return Tick(now=now, moment=moment)

    def _hello(self) -> Hello:
        now = self._clock()
        self.history.forget(before=now - self.history.span)
        return Hello(
            now=now,
            span=self.history.span,
            view=self._current(),
            history=tuple(self.history),
            content=self._content(),
            kept_days=self._shared.keep_days,
        )

    def _content(self) -> Content:
        return Content(self._shared.board.line)

    def _tell(self, message: Message) -> None:
        text = encode(message)
        for page in list(self._audience):
            page.tell(text)

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        # A page has nothing to say yet, so what it sends is small and dropped.
        channel = web.WebSocketResponse(heartbeat=self._heartbeat, max_msg_size=1024)
        await channel.prepare(request)
        page = _Page(channel, request.transport, first=encode(self._hello()))
        self._audience.add(page)
        try:
            await page.attend()
        finally:
            self._audience.discard(page)
        return channel


class _Page:
    """One open page: its socket, and the messages that wait for it."""

    def __init__(
        self, channel: web.WebSocketResponse, transport: asyncio.Transport | None, first: str
    ) -> None:
        self._channel, self._transport = channel, transport
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

    async def _hang_up(self) -> None:
        try:
            await asyncio.wait_for(self._channel.close(code=WSCloseCode.GOING_AWAY), 1.0)
        except (ConnectionError, asyncio.TimeoutError):
            # It reads nothing, so what we sent would stay in the buffers for ever.
            if self._transport is not None:
                self._transport.abort()


async def _serve_index(_: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE / "index.html")


def _name_of(host: str) -> str:
    """Return what to type into a browser to reach an address listened on."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host
    if number.is_unspecified:
        return socket.gethostname()
    return f"[{host}]" if number.version == 6 else host
