"""Strangers that open connections: many at once, half requests, and nothing read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from aiohttp import ClientSession, web

from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.system.service import (
    LogThrottle,
    raise_file_limit,
    run_service,
    throttled_log,
)
from edgefer_device.system.thermal import read_heat
from edgefer_device.web import connections
from edgefer_device.web.connections import HERE, Connection, ConnectionPool, Limits, peer_of
from edgefer_device.web.server import WebServer, listen
from support.mosquitto import Mosquitto, free_port

PROGRAM = Path(__file__).parents[2] / "support" / "scripted_run.py"
PATIENCE = 30.0


@contextlib.contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that send half a request and wait."""
    with contextlib.ExitStack() as held:
        opened = []
        for _ in range(count):
            # Those that were dropped meanwhile refuse what is sent.
            with contextlib.suppress(ConnectionError):
                one = held.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
                one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
                opened.append(one)
        yield opened


async def page(port: int) -> int:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
        return answer.status


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_half_open_connections_leave_room_for_the_page(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> tuple[int, int, bool]:
        async with (
            MirrorSink(WebServer("page", "127.0.0.1", 0)) as sink,
            ClientSession() as session,
            session.ws_connect(sink.server.url + "ws") as mirror,
        ):
            port = sink.server.port
            with contextlib.ExitStack() as stack:
                opened = await asyncio.to_thread(stack.enter_context, half_open(port, 300))
                status = await page(port)
                left = sum(map(is_open, opened))
                return status, left, (await mirror.receive_json())["type"] == "hello"

    with throttled_log():
        status, left, served = asyncio.run(asyncio.wait_for(whole(), PATIENCE))
    assert (status, served) == (200, True)
    assert 0 < left <= Limits().here
    assert len(caplog.records) <= 12, "the log is bounded"
    assert "more lines like this are left out" in caplog.text
    assert "Traceback" not in caplog.text


def test_half_a_request_is_dropped_by_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)

    async def whole() -> bytes:
        async with MirrorSink(WebServer("page", "127.0.0.1", 0)) as sink:
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.server.port)
            writer.write(b"GET / HTTP/1.1\r\n")
            rest = asyncio.create_task(reader.read())
            while not rest.done():
                # A byte now and then is no request either.
                with contextlib.suppress(ConnectionError):
                    writer.write(b"a")
                await asyncio.sleep(0.05)
            writer.close()
            with contextlib.suppress(ConnectionError):
                return await rest
            return b""

    assert asyncio.run(asyncio.wait_for(whole(), PATIENCE)) == b""


def test_a_slow_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.1)

    async def whole() -> bytes:
        async with MirrorSink(WebServer("page", "127.0.0.1", 0)) as sink:
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nslow")
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(asyncio.wait_for(whole(), PATIENCE)).startswith(b"HTTP/1.1 200 OK")


def test_a_reader_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefer_device.web.server.UNREAD_SECONDS", 1)

    async def big(_: web.Request) -> web.Response:
        return web.Response(body=bytes(50_000_000))

    async def whole() -> int:
        application = web.Application()
        application.add_routes([web.get("/", big)])
        listener = await listen(application, "127.0.0.1", 0, "page")
        with socket.create_connection(("127.0.0.1", listener.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await asyncio.sleep(3.0)  # the kernel's time, which no clock of ours moves
            received = 0
            with contextlib.suppress(ConnectionError):
                while part := await asyncio.to_thread(client.recv, 1 << 20):
                    received += len(part)
        await listener.close()
        return received

    assert asyncio.run(asyncio.wait_for(whole(), PATIENCE)) < 50_000_000


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("127.0.0.1", 1), HERE),
        (("127.9.9.9", 1), HERE),
        (("::1", 1, 0, 0), HERE),
        (("::ffff:127.0.0.1", 1, 0, 0), HERE),
        (("::ffff:192.168.1.7", 1, 0, 0), "192.168.1.7"),
        (("192.168.1.7", 1), "192.168.1.7"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (("2001:db8:1:2:3::4", 1, 0, 0), "2001:db8:1:2::/64"),
        (None, "unknown"),
        ("", "unknown"),
    ],
)
def test_whose_connection_it_is(address: object, peer: str) -> None:
    assert peer_of(address) == peer


class Fake:
    """A connection without a socket."""

    def __init__(self, peer: str) -> None:
        self.peer, self.open = peer, True

    def abort(self) -> None:
        self.open = False


def test_each_peer_all_of_them_and_this_machine_have_a_share_of_their_own() -> None:
    pool = ConnectionPool("page", Limits(here=2, others=5, peer=3))

    def add(peer: str) -> Fake:
        made = Fake(peer)
        made.open = pool.add(cast("Connection", made))
        return made

    first = [add("192.0.2.1") for _ in range(4)]
    assert [one.open for one in first] == [False, True, True, True]
    others = [add(f"192.0.2.{host}") for host in range(2, 5)]
    assert all(one.open for one in others)
    assert [one.open for one in first] == [False, False, True, True], "the longest idle gave way"
    here = [add(HERE) for _ in range(2)]
    assert all(one.open for one in here)
    assert len(pool) == 7


def test_a_connection_that_is_used_gives_way_to_none() -> None:
    pool = ConnectionPool("page", Limits(peer=1))
    used, late = (cast("Connection", Fake("192.0.2.1")) for _ in range(2))
    assert pool.add(used)
    with pool.busy(used):
        assert not pool.add(late)
    assert pool.add(late)


def test_garbage_is_one_line_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> bytes:
        async with MirrorSink(WebServer("page", "127.0.0.1", 0)) as sink:
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.server.port)
            writer.write(b"GET /\x00 HTTP/9\r\n\xff: \xff\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert b" 400 " in asyncio.run(asyncio.wait_for(whole(), PATIENCE)).splitlines()[0]
    (record,) = caplog.records
    assert record.getMessage().startswith("page: bad request from this machine: ")
    assert "Traceback" not in caplog.text


def test_a_line_that_repeats_is_counted_and_not_written(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    throttle, log = LogThrottle(3, 60.0, lambda: now), logging.getLogger("edgefer_device.test")
    caplog.handler.addFilter(throttle)
    for number in range(100):
        log.warning("broken %d", number)
    now = 61.0
    log.warning("broken again")
    for _ in range(2):
        log.warning("another")
    caplog.handler.removeFilter(throttle)
    assert caplog.messages == [
        "broken 0",
        "broken 1",
        "broken 2 (more lines like this are left out for 60 s)",
        "broken again",
        "another",
        "another",
    ]


def test_the_limit_of_files_is_raised_and_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        raise_file_limit(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600
        raise_file_limit(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_a_file_left_the_temperature_is_unknown() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert read_heat().celsius is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_daemon_out_of_files_lives_on(tmp_path: Path, broker: Mosquitto) -> None:
    port = free_port()
    sinks = (f"mirror:127.0.0.1:{port}", f"mqtt://127.0.0.1:{broker.port}/home")
    words = [sys.executable, str(PROGRAM), "demo:", "haar", *sinks]
    state = {"PYTHONPATH": ":".join(sys.path), "XDG_STATE_HOME": str(tmp_path)}
    with (
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(words, env={**os.environ, **state}, stderr=log) as daemon,
    ):
        until_it_answers(port)
        soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
        broker.kill()
        with half_open(port, 50):
            time.sleep(3.0)
        broker.start()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
        until_it_answers(port)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 0
        log.seek(0)
        text = log.read()
    assert "out of system resource" in text
    assert "Traceback" not in text
    assert len(text.splitlines()) < 30


def test_a_server_closed_soon_after_files_ran_out_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def close_without_files() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        client = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))
        try:
            client.connect(server.sockets[0].getsockname())
            await asyncio.sleep(0.1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        server.close()
        # asyncio's ACCEPT_RETRY_DELAY is a second.
        await asyncio.sleep(1.2)
        client.close()

    run_service(close_without_files())
    assert "out of system resource" in caplog.text
    assert "ERROR" not in caplog.text


def until_it_answers(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if asyncio.run(page(port)) == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the page does not answer")
