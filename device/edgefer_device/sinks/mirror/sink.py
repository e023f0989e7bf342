"""The smart mirror: a page on this machine that shows the mood as it changes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec
from aiohttp import web
from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.page.assets import SHARED, page_routes
from edgefer_device.sinks.context import Shared
from edgefer_device.sinks.mirror.messages import (
    Content,
    Hello,
    History,
    Message,
    Moment,
    Rest,
    Tick,
    View,
    Wish,
    encode,
)
from edgefer_device.sinks.mirror.page_connection import OpenPage
from edgefer_device.sinks.mirror.texts import chosen, texts
from edgefer_device.sinks.mirror.week import week_routes
from edgefer_device.sinks.status_pages import status_routes
from edgefer_device.system.paths import state_folder
from edgefer_device.system.tasks import end
from edgefer_device.web.access import add_headers, guard, is_loopback
from edgefer_device.web.server import check_port, listen
from edgefer_device.web.token import FILE, PARAMETER, Token

PAGE = Path(__file__).parent / "page"

BEATS = 4
"""Looks at the newest report a second: at most 4 views and 1 tick go to a page in a second."""

SILENCE = 3.0
"""Seconds without a report after which the last one no longer stands for now."""


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
        self._shared = shared or Shared()
        self.history = History(longest=3600 * self._shared.config.mirror.hours)
        self._state = state_folder(self._shared.config.state)
        self._clock, self._heartbeat = clock, heartbeat
        self._view: View | None = None
        self._seen_at = -SILENCE
        self._audience: set[OpenPage] = set()
        self._token: Token | None = None
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The page's address, with the real port once entered."""
        return f"http://{_name_of(self.host)}:{self.port}/"

    @property
    def address(self) -> str:
        """What opens the page in any browser that may: with the token, where one is asked for."""
        return f"{self.url}?{PARAMETER}={self._token.secret}" if self._token else self.url

    @property
    def pages(self) -> int:
        """How many pages are connected now."""
        return len(self._audience)

    async def __aenter__(self) -> Self:
        if not is_loopback(self.host):
            self._token = Token.of(self._state)
        self._runner = await listen(self._application(), self.host, self.port, "mirror page")
        self.port = self._runner.addresses[0][1]
        self._beat = asyncio.create_task(self._keep_time(), name="mirror beat")
        self._shared.page = self.address
        self._announce()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shared.page = None
        if self._beat is not None:
            await end(self._beat)
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
        app = web.Application(middlewares=[guard(self.host, self._token)])
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/ws", self._serve_socket)
        app.router.add_get("/", _serve_index)
        app.router.add_get("/texts.json", self._serve_texts)
        app.add_routes(status_routes(self._shared.health, self._shared.figures))
        app.add_routes(week_routes(self._shared.store))
        app.add_routes(page_routes(PAGE, SHARED))
        return app

    def _announce(self) -> None:
        print(f"mirror page: {self.url}", file=sys.stderr, flush=True)
        if self._token is not None:
            # Not the token itself: what is printed here stays in the system's log.
            where = f"other machines need the token in {self._state / FILE}"
            print(f"{where}; `edgefer status` tells the whole address", file=sys.stderr, flush=True)

    async def _keep_time(self) -> None:
        """Tell the pages each change, and add a moment to the history once a second."""
        told, content, rest, beat = None, self._content(), self._rest(), 0
        while True:
            # First of all: a page that rests passes over what it is told beside.
            if rest != (rest := self._rest()):
                self._tell(rest)
            view = self._current()
            if view is not None and view != told:
                self._tell(view)
            told = view
            if content != (content := self._content()):
                self._tell(content)
            if beat % BEATS == 0:
                self._tell_tick()
            beat += 1
            await asyncio.sleep(1 / BEATS)

    def _current(self) -> View | None:
        fresh = self._clock() - self._seen_at < SILENCE and not self._shared.controls.paused
        return self._view if fresh else None

    def _tell_tick(self) -> None:
        span = self.history.span
        self._tell(self._tick())
        if self.history.span != span:
            self._tell(self._hello())

    def _tick(self) -> Tick:
        now, moment = self._clock(), None
        recent = now - self._seen_at < 1.0 + 1 / BEATS and not self._shared.controls.paused
        if self._view is not None and recent:
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
            paused=self._shared.controls.paused,
            settings=self._shared.config.mirror,
        )

    def _content(self) -> Content:
        return Content(self._shared.board.line)

    def _rest(self) -> Rest:
        return Rest(self._shared.controls.paused)

    def _obey(self, text: str) -> None:
        """Do what a page asks for; what it cannot ask for is passed over."""
        try:
            wish = msgspec.json.decode(text, type=Wish).wish
        except msgspec.DecodeError:
            return
        if wish == "pause":
            self._shared.controls.pause()
        else:
            self._shared.controls.resume()

    async def _serve_texts(self, request: web.Request) -> web.Response:
        setting = self._shared.config.mirror.language
        code = chosen(setting, request.headers.get("Accept-Language", ""))
        body = msgspec.json.encode(texts(code))
        return web.Response(body=body, content_type="application/json")

    def _tell(self, message: Message) -> None:
        text = encode(message)
        for page in list(self._audience):
            page.tell(text)

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        # A page has little to say: what is longer than a wish is refused.
        channel = web.WebSocketResponse(heartbeat=self._heartbeat, max_msg_size=1024)
        await channel.prepare(request)
        page = OpenPage(channel, request.transport, encode(self._hello()), self._obey)
        self._audience.add(page)
        try:
            await page.attend()
        finally:
            self._audience.discard(page)
        return channel


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
