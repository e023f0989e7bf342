"""The smart mirror: a page on this machine that shows the mood as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from aiohttp import web
from typing_extensions import Self

from edgefer.appearance import Appearance
from edgefer.errors import EnrollmentError
from edgefer.messages import NOT_JSON, Report, to_json
from edgefer_device.page import SHARED, page_routes
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.enrollment import Enrollment
from edgefer_device.sinks.message_board import MessageBoard
from edgefer_device.sinks.mirror import api
from edgefer_device.sinks.mirror.messages import (
    Command,
    Content,
    Hello,
    Message,
    Moment,
    Paused,
    ShowWeek,
    Tick,
    Timeline,
    Trouble,
    View,
)
from edgefer_device.sinks.mirror.open_page import OpenPage
from edgefer_device.sinks.mirror.settings import MirrorSettings, choose_language, texts_for
from edgefer_device.system.clock import Clock
from edgefer_device.system.tasks import cancel_and_wait
from edgefer_device.web.server import WebServer

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
UPDATES = 4
"""Updates a second: at most 4 views and 1 tick are sent to a page in a second."""
STALE_SECONDS = 3.0
"""After which a report is no longer current."""
API_SECONDS = 10
"""After which `/api/state` repeats itself to those who listen: silence means a lost connection."""


class MirrorSink:
    """Serve the mirror page and push what is seen to every open page over a WebSocket."""

    def __init__(  # noqa: PLR0913 - what the page shows, each with a maker of its own
        self,
        server: WebServer,
        settings: MirrorSettings | None = None,
        controls: Controls | None = None,
        board: MessageBoard | None = None,
        kept_days: int = 0,
        health: Health | None = None,
        appearance: Appearance | None = None,
        *,
        enrollment: Enrollment | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """`kept_days` are those of the history; 0 hides the weekly view. `appearance` is the
        model's own.
        """
        self.server = server
        # They go to the page, which has no use for the names of proxies.
        self._settings = msgspec.structs.replace(
            settings or MirrorSettings(), hosts=(), frame_ancestors=()
        )
        self._controls, self._board = controls or Controls(), board or MessageBoard(clock)
        self._kept_days, self._health = kept_days, health or Health()
        self._appearance, self._enrollment = appearance or Appearance(), enrollment
        self._clock = clock
        self.heartbeat = 10.0
        """Seconds; a page that leaves a ping unanswered for half of them is dropped."""
        self.timeline = Timeline(longest=3600 * self._settings.hours)
        self._view: View | None = None
        self._seen_at = -STALE_SECONDS
        self.pages: set[OpenPage] = set()
        """Those connected now."""
        self._listeners: set[OpenPage] = set()
        """Programs connected to `/api/state`."""
        self._updates: asyncio.Task[None] | None = None

    @property
    def address(self) -> str | None:
        """The URL that any browser may open, with its token; None while nothing is served."""
        return None if self._updates is None else self.server.address

    async def __aenter__(self) -> Self:
        await self.server.start(
            web.get("/ws", self._serve_page),
            web.get(api.PATH, self._serve_state),
            web.get("/", _serve_index),
            web.get("/texts.json", self._serve_texts),
            *page_routes(PAGE, SHARED),
        )
        self._updates = asyncio.create_task(self._update_loop(), name="mirror updates")
        log.info("mirror page: %s", self.server.url)
        if (path := self.server.token_file) is not None:
            # Not the token itself: the system keeps its log.
            log.info(
                "other machines need the token in %s; `edgefer status` shows the full URL", path
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._updates is not None:
            await cancel_and_wait(self._updates)
            self._updates = None
        for page in [*self.pages, *self._listeners]:
            page.disconnect()
        await self.server.close()

    async def publish(self, report: Report) -> None:
        """Keep the report for the next update; never waits for a page."""
        # The page itself shows that no frames come when no more reports do.
        if report.problem is None:
            self._view, self._seen_at = View.of(report), self._clock()

    async def _update_loop(self) -> None:
        """Push each change to the pages, and add a moment to the timeline once a second."""
        before, told = self._state(), self._api_state()
        for count in itertools.count():
            state, news = self._state(), self._api_state()
            for message in state:
                if message not in before:
                    _send(self.pages, message)
            if news != told or count % (UPDATES * API_SECONDS) == 0:
                _send(self._listeners, news)
            before, told = state, news
            if count % UPDATES == 0:
                self._broadcast_tick()
            await asyncio.sleep(1 / UPDATES)

    def _state(self) -> list[Message]:
        """Return what is sent when it changes; a paused page ignores what comes after that."""
        view = self._current()
        return [
            Paused(self._controls.paused),
            *([] if view is None else [view]),
            Content(self._board.line),
            ShowWeek(self._controls.state.weeks),
            self._trouble(),
            *([] if self._enrollment is None else [self._enrollment.state]),
        ]

    def _trouble(self) -> Trouble:
        sinks = self._health.state().sinks
        # One that was given nothing yet is not well, and no trouble.
        return Trouble(
            tuple(name for name, sink in sinks.items() if sink.note and sink.age is not None)
        )

    def _current(self) -> View | None:
        fresh = self._clock() - self._seen_at < STALE_SECONDS and not self._controls.paused
        return self._view if fresh else None

    def _api_state(self) -> api.State:
        return api.State.of(self._current(), self._controls.paused)

    def _broadcast_tick(self) -> None:
        span = self.timeline.span
        _send(self.pages, self._tick())
        if self.timeline.span != span:
            _send(self.pages, self._hello())

    def _tick(self) -> Tick:
        now, moment = self._clock(), None
        recent = now - self._seen_at < 1.0 + 1 / UPDATES and not self._controls.paused
        if self._view is not None and recent:
            moment = Moment(at=now, mood=self._view.mood, confidence=self._view.confidence)
            self.timeline.add(moment)
        return Tick(now=now, moment=moment)

    def _hello(self) -> Hello:
        now = self._clock()
        self.timeline.prune(before=now - self.timeline.span)
        return Hello(
            now=now,
            span=self.timeline.span,
            view=self._current(),
            history=tuple(self.timeline),
            content=Content(self._board.line),
            trouble=self._trouble(),
            kept_days=self._kept_days,
            paused=self._controls.paused,
            enrollment=self._enrollment.state if self._enrollment else None,
            settings=self._settings,
        )

    def _handle(self, text: str) -> None:
        """Carry out a page's command; ignore what is none."""
        try:
            command = msgspec.json.decode(text, type=Command).command
        except NOT_JSON:
            return
        if command == "pause":
            self._controls.pause()
        elif command == "resume":
            self._controls.resume()
        elif self._enrollment is not None and self._settings.enroll:
            # Two fingers at once: the first has begun it.
            with contextlib.suppress(EnrollmentError):
                self._enrollment.begin() if command == "enroll" else self._enrollment.stop()

    async def _serve_texts(self, request: web.Request) -> web.Response:
        accepted = request.headers.get("Accept-Language", "")
        code = choose_language(self._settings.language, accepted)
        body = msgspec.json.encode(texts_for(code, self._appearance))
        return web.Response(body=body, content_type="application/json")

    async def _serve_page(self, request: web.Request) -> web.StreamResponse:
        return await self._serve_socket(request, self.pages, self._hello(), self._handle)

    async def _serve_state(self, request: web.Request) -> web.StreamResponse:
        api.check_version(request)
        state = self._api_state()
        if not api.wants_socket(request):
            return web.Response(text=to_json(state) + "\n", content_type="application/json")
        return await self._serve_socket(request, self._listeners, state, lambda _: None)

    async def _serve_socket(
        self,
        request: web.Request,
        group: set[OpenPage],
        first: msgspec.Struct,
        on_message: Callable[[str], None],
    ) -> web.StreamResponse:
        # Commands are short: whatever is longer is refused.
        channel = web.WebSocketResponse(heartbeat=self.heartbeat, max_msg_size=1024)
        try:
            await channel.prepare(request)
        except ValueError as exc:
            raise web.HTTPBadRequest(text="malformed WebSocket header\n") from exc
        page = OpenPage(channel, request.transport, to_json(first), on_message)
        group.add(page)
        try:
            await page.serve()
        finally:
            group.discard(page)
        return channel


def _send(pages: Iterable[OpenPage], message: msgspec.Struct) -> None:
    text = to_json(message)
    for page in tuple(pages):
        page.send(text)


async def _serve_index(_: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE / "index.html")
