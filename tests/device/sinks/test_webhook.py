"""The webhook against a real server that answers, refuses, dawdles, dies and comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any

import pytest
from aiohttp import web

from edgefer.errors import SettingsError
from edgefer.messages import Report
from edgefer_device.sinks.opening import open_sink
from edgefer_device.sinks.webhook import CAPACITY, WebhookSink, server_name
from edgefer_device.system.backoff import Backoff
from support.mosquitto import free_port

SECONDS = 20.0
"""Time after which a test gives up."""
NOON = datetime(2026, 5, 17, 12, 0, tzinfo=timezone.utc)


class Receiver:
    """A server that keeps what it is sent; `statuses` are its next answers, then 204."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.posts: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Receiver:
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret?token=hidden"

    @property
    def moods(self) -> list[str | None]:
        return [post["mood"] for post in self.posts]

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await asyncio.sleep(0.005)

    async def _take(self, request: web.Request) -> web.Response:
        await self.open.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 302:
            raise web.HTTPFound("/elsewhere")
        if status == 204:
            self.headers.append(dict(request.headers))
            self.posts.append({**await request.json(), "path": request.path_qs})
        return web.Response(status=status)


def report(mood: str | None, confidence: float = 0.8123) -> Report:
    return Report(0.0, 0, (), mood, None if mood is None else confidence)


def hook(url: str, timeout: float = SECONDS, farewell: float = 2.0) -> WebhookSink:
    backoff = Backoff(0.02, 0.05, jitter=lambda: 0.0)
    return WebhookSink(url, lambda: NOON, backoff, timeout, farewell)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, SECONDS))


async def publish(sink: WebhookSink, *moods: str | None) -> None:
    for mood in moods:
        await sink.publish(report(mood))


def test_each_change_is_posted_once_in_order() -> None:
    async def story() -> None:
        async with Receiver() as server:
            async with hook(server.url) as sink:
                await publish(sink, None, "happy", "happy", "happy", "sad", None, None)
            assert server.moods == [None, "happy", "sad", None]
            assert server.posts[2] == {
                "at": "2026-05-17T12:00:00Z",
                "mood": "sad",
                "before": "happy",
                "confidence": 0.812,
                "faces": 0,
                "problem": None,
                "path": "/hook/secret?token=hidden",
            }
            assert server.headers[0]["Content-Type"] == "application/json"
            assert server.headers[0]["User-Agent"].startswith("edgefer/")

    run(story())


def test_a_server_that_dies_gets_all_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        port = free_port()
        async with hook(f"http://127.0.0.1:{port}/x") as sink:
            async with Receiver(port) as server:
                await publish(sink, "happy")
                await server.until(lambda: server.moods == ["happy"])
            await publish(sink, "sad", "angry")
            await server.until(lambda: sink.fault is not None)
            async with Receiver(port) as again:
                await again.until(lambda: again.moods == ["sad", "angry"])
                await again.until(lambda: sink.fault is None)

    run(story())
    (record,) = caplog.records
    assert record.getMessage().endswith(": Connection refused; trying again")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(status: int, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Receiver() as server, hook(server.url) as sink:
            server.statuses = [status, status, status]
            await publish(sink, "happy", "sad")
            await server.until(lambda: server.moods == ["happy", "sad"])

    run(story())
    assert len(caplog.records) == 1
    assert f"answers {status}; trying again" in caplog.text


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_what_a_server_refuses_is_dropped_and_not_repeated(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with Receiver() as server, hook(server.url) as sink:
            server.statuses = [status]
            await publish(sink, "happy", "sad")
            await server.until(lambda: server.moods == ["sad"])
            assert sink.dropped == 1

    run(story())
    assert f"answers {status}; the change is dropped" in caplog.text


def test_a_slow_server_slows_nobody_and_of_too_many_changes_the_oldest_go() -> None:
    async def story() -> None:
        async with Receiver() as server, hook(server.url) as sink:
            server.open.clear()
            moods = [f"mood {number}" for number in range(CAPACITY + 11)]
            # Nothing here waits for the server: it has not answered once.
            await asyncio.wait_for(publish(sink, moods[0]), 1.0)
            await asyncio.sleep(0)
            await asyncio.wait_for(publish(sink, *moods[1:]), 1.0)
            server.open.set()
            await server.until(lambda: len(server.posts) == CAPACITY + 1)
            assert server.moods == [moods[0], *moods[-CAPACITY:]]
            assert sink.dropped == 10

    run(story())


def test_an_answer_that_does_not_come_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Receiver() as server, hook(server.url, timeout=0.05) as sink:
            server.open.clear()
            await publish(sink, "happy")
            await server.until(lambda: sink.fault is not None)
            server.open.set()
            await server.until(lambda: "happy" in server.moods)

    run(story())
    assert "no answer within 0.05 s; trying again" in caplog.text


def test_leaving_does_not_wait_for_a_dead_server() -> None:
    async def story() -> None:
        async with hook(f"http://127.0.0.1:{free_port()}/", farewell=0.05) as sink:
            await publish(sink, "happy")
        await sink.__aexit__()

    run(story())


def test_no_secret_of_the_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def story() -> None:
        async with Receiver() as server:
            server.statuses = [500, 404]
            async with hook(server.url.replace("//", "//me:password@")) as sink:
                await publish(sink, "happy")

    run(story())
    assert caplog.records
    assert not any(word in caplog.text for word in ("secret", "hidden", "password"))


@pytest.mark.parametrize(
    "uri",
    ["webhook:", "webhook:ftp://h/x", "webhook:https://", "webhook:http://h:port/", "webhook:h/x"],
)
def test_an_address_that_cannot_be_posted_to_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match="expected webhook:https://HOST/PATH"):
        open_sink(uri)


def test_a_refused_address_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        open_sink("webhook:htps://hooks.example/T0/secret")
    assert "secret" not in str(refused.value)


def test_the_address_keeps_its_query_and_a_person_sees_the_server_alone() -> None:
    sink = open_sink("webhook:https://hooks.example:8443/T0/secret?key=a&mood=1")
    assert isinstance(sink, WebhookSink)
    assert sink.name == "hooks.example:8443"
    assert server_name("http://h/x") == "h"
