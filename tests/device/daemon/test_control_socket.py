"""The control socket: who may connect, what it responds, and the status it reports."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from edgefer.cli import main
from edgefer.errors import ControlError
from edgefer_device.daemon import control_socket
from edgefer_device.daemon.control_socket import (
    MAX_CONNECTIONS,
    SOCKET,
    ControlServer,
    Handler,
    Value,
    find_folders,
    request,
    short_path,
)
from edgefer_device.daemon.status import Status, headline, show
from edgefer_device.pipeline.health import Part
from edgefer_device.system.clock import duration
from edgefer_device.system.paths import SYSTEM
from edgefer_device.system.process import cpu_seconds, peak_mb, resident_mb


async def send(folder: Path, command: str, value: float | None = None) -> Any:
    return await asyncio.to_thread(request, [folder], command, value)


def test_a_request_gets_a_response_and_only_the_owner_may_connect(tmp_path: Path) -> None:
    async def whole() -> None:
        paused: list[Value] = []
        handlers: dict[str, Handler] = {"pause": paused.append, "status": lambda _: "fine"}
        async with ControlServer(tmp_path / "state", handlers):
            assert await send(tmp_path / "state", "status") == "fine"
            assert await send(tmp_path / "state", "pause", 0.5) is None
            mode = (tmp_path / "state" / SOCKET).stat().st_mode
            assert (stat.S_IMODE(mode), paused) == (0o600, [0.5])
        assert list((tmp_path / "state").iterdir()) == []

    asyncio.run(whole())


def test_a_path_longer_than_unix_allows_works(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)

    async def whole() -> None:
        async with ControlServer(deep, {"status": lambda _: 7}):
            assert await send(deep, "status") == 7

    asyncio.run(whole())


def test_what_is_unknown_or_refused_is_one_line(tmp_path: Path) -> None:
    def refuse(_: Value) -> None:
        raise ValueError("threshold must be 0.05 to 0.95, got 7")

    async def whole() -> None:
        async with ControlServer(tmp_path, {"threshold": refuse}):
            with pytest.raises(ControlError, match="unknown command 'sing'; known: threshold"):
                await send(tmp_path, "sing")
            with pytest.raises(ControlError, match=r"threshold must be 0\.05 to 0\.95, got 7"):
                await send(tmp_path, "threshold", 7)

    asyncio.run(whole())


def test_without_a_daemon_one_line_says_where_none_is_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    elsewhere = rf"nor at {tmp_path}/file/{SOCKET} \(Not a directory\); start edgefer run, or name"
    for why in ("No such file or directory", "Connection refused"):
        wanted = rf"no daemon responds at {tmp_path}/{SOCKET} \({why}\), {elsewhere}"
        with pytest.raises(ControlError, match=wanted):
            request([tmp_path, tmp_path / "file"], "status")
        # What a killed daemon left behind.
        with short_path(tmp_path / SOCKET) as near, socket.socket(socket.AF_UNIX) as dead:
            if not (tmp_path / SOCKET).exists():
                dead.bind(near)


def test_a_command_that_may_have_been_heard_goes_to_no_other_daemon(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("own", "service"))
    heard: list[str] = []

    async def whole() -> None:
        def hear(_: object) -> None:
            heard.append("pause")

        async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()  # with the command unread

        first.mkdir()
        async with (
            await asyncio.start_unix_server(reset, first / SOCKET),
            ControlServer(second, {"pause": hear}),
        ):
            with pytest.raises(ControlError, match=r"no response|nobody responds"):
                await asyncio.to_thread(request, (first, second), "pause")

    asyncio.run(whole())
    assert heard == []


def test_what_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    with short_path(tmp_path / SOCKET) as near, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(near)

    async def whole() -> None:
        async with ControlServer(tmp_path, {"status": lambda _: "fine"}):
            assert await send(tmp_path, "status") == "fine"

    asyncio.run(whole())


def test_the_second_of_two_daemons_goes_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edgefer_device")

    async def whole() -> None:
        async with ControlServer(tmp_path, {"status": lambda _: 1}):
            async with ControlServer(tmp_path, {"status": lambda _: 2}):
                assert await send(tmp_path, "status") == 1
            assert await send(tmp_path, "status") == 1

    asyncio.run(whole())
    assert "edgefer status shows another daemon" in caplog.text


def test_the_owner_of_a_folder_takes_the_socket_from_a_clips_reader(tmp_path: Path) -> None:
    async def whole() -> None:
        clip = ControlServer(tmp_path, {"status": lambda _: "clip"})
        owner = ControlServer(tmp_path, {"status": lambda _: "owner"}, owner=True)
        async with clip, owner:
            assert await send(tmp_path, "status") == "owner"
            await clip.__aexit__()
            assert await send(tmp_path, "status") == "owner"

    asyncio.run(whole())


def test_a_folder_that_cannot_be_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    async def whole() -> None:
        async with ControlServer(tmp_path / "file", {}):
            pass

    asyncio.run(whole())
    assert "no control socket (File exists)" in caplog.text


@pytest.mark.parametrize("noise", [b"", b"\n", b"{", b"[1]\n", b"x" * 100_000 + b"\n"])
def test_noise_harms_nobody(tmp_path: Path, noise: bytes) -> None:
    def shout() -> bytes:
        with short_path(tmp_path / SOCKET) as near, socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(5)
            caller.connect(near)
            try:
                caller.sendall(noise)
                caller.shutdown(socket.SHUT_WR)
                return caller.recv(4096)
            except OSError:
                return b""

    async def whole() -> None:
        async with ControlServer(tmp_path, {"status": lambda _: "fine"}):
            assert b'"error":null' not in await asyncio.to_thread(shout)
            assert await send(tmp_path, "status") == "fine"

    asyncio.run(whole())


def test_silent_clients_have_a_limit(tmp_path: Path) -> None:
    async def whole() -> int:
        async with ControlServer(tmp_path, {"status": lambda _: "fine"}) as server:
            with short_path(server.path) as near:
                opened = [await asyncio.open_unix_connection(near) for _ in range(100)]
            refused = 0
            for reader, writer in opened[MAX_CONNECTIONS:]:
                refused += await reader.read() == b""
                writer.close()
            opened[0][1].close()
            while True:
                try:
                    assert await send(tmp_path, "status") == "fine"
                    break
                except ControlError:
                    await asyncio.sleep(0.05)
            for _, writer in opened:
                writer.close()
            return refused

    assert asyncio.run(whole()) == 100 - MAX_CONNECTIONS


def test_a_silent_client_does_not_delay_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> float:
        loop = asyncio.get_running_loop()
        async with ControlServer(tmp_path, {"status": lambda _: "fine"}) as server:
            with short_path(server.path) as near:
                _, writer = await asyncio.open_unix_connection(near)
            await send(tmp_path, "status")
            began = loop.time()
        writer.close()
        return loop.time() - began

    assert asyncio.run(whole()) < 4
    assert caplog.records == []  # asyncio logs what it finds undone


def test_descriptors_are_released(tmp_path: Path) -> None:
    async def whole() -> int:
        async with ControlServer(tmp_path, {"status": lambda _: 1}):
            for _ in range(20):
                await send(tmp_path, "status")
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # Path.iterdir opens one itself

    assert asyncio.run(whole()) == asyncio.run(whole())


def test_the_users_daemon_is_preferred_to_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, service = tmp_path / "own" / "edgefer", tmp_path / "service"
    monkeypatch.setenv("XDG_STATE_HOME", str(own.parent))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert find_folders(None, explicit=False) == (own, SYSTEM)
    assert find_folders(None, explicit=True) == (own,)
    assert find_folders(str(tmp_path), explicit=True) == (tmp_path,)

    async def whole() -> None:
        both = own, service
        async with ControlServer(service, {"status": lambda _: "service"}):
            assert await asyncio.to_thread(request, both, "status") == "service"
            async with ControlServer(own, {"status": lambda _: "own"}):
                assert await asyncio.to_thread(request, both, "status") == "own"

    asyncio.run(whole())


@pytest.mark.parametrize(("camera", "chosen"), [("demo:", "own"), ("file:a.mkv", "service")])
def test_a_daemon_that_reads_a_clip_comes_after_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: str, chosen: str
) -> None:
    own, service = tmp_path / "own" / "edgefer", tmp_path / "service"
    monkeypatch.setenv("XDG_STATE_HOME", str(own.parent))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(control_socket, "SYSTEM", service)
    paused = []

    def handlers(name: str, camera: str) -> dict[str, Handler]:
        status = msgspec.structs.replace(OK, camera=camera)

        def pause(_: object) -> Status:
            paused.append(name)
            return status

        return {"status": lambda _: status, "pause": pause}

    async def whole() -> tuple[str, str]:
        async with ControlServer(own, handlers("own", camera)):
            async with ControlServer(service, handlers("service", "v4l2:")):
                both = await asyncio.to_thread(CliRunner().invoke, main, ["pause"])
            one = await asyncio.to_thread(CliRunner().invoke, main, ["pause"])
        return both.stderr, one.stderr

    both, one = asyncio.run(whole())
    assert paused == [chosen, "own"]
    assert both == "edgefer: paused: the camera is closed\n"
    warning = (
        f"edgefer: warning: this is for {camera}; --config names the daemon of another camera\n"
    )
    assert one == (warning if chosen == "service" else "") + both


# --- the status --------------------------------------------------------------

OK = Status(
    version="1.0",
    pid=7,
    uptime=4000,
    ok=True,
    paused=False,
    camera="v4l2:/dev/video0",
    camera_open=True,
    mood="happy",
    confidence=0.9,
    faces=1,
    rate=15,
    analysed=100,
    memory_mb=100,
    cpu_seconds=400,
    celsius=51.4,
    hot=False,
    threshold=0.4,
    page="http://127.0.0.1:8137/",
    parts={"camera": Part(True, 0.1), "mqtt": Part(True, 2.0, dropped=1234)},
)


def printed(status: Status) -> str:
    out = io.StringIO()
    show(status, Console(file=out, width=100, highlight=False))
    return out.getvalue()


def test_a_status_for_people() -> None:
    lines = [" ".join(line.split()) for line in printed(OK).splitlines()]
    assert lines == [
        "running, a face in view",
        "edgefer 1.0, PID 7, up 1 h 07",
        "camera address v4l2:/dev/video0",
        "mood happy 90 %, faces: 1",
        "frames 15 a second",
        "memory 100 MB",
        "processor 10.0 % of one core",
        "temperature 51 °C",
        "mirror page http://127.0.0.1:8137/",
        "camera ok, 0.1 s ago",
        "mqtt ok, 2.0 s ago, dropped: 1,234",
    ]


def test_the_headline_names_what_is_wrong_and_a_pause() -> None:
    replace = msgspec.structs.replace
    failed = replace(OK, ok=False, parts={"camera": Part(False, 9.0, "silent for 9 s")})
    assert headline(failed) == "degraded: camera: silent for 9 s"
    paused = replace(OK, paused=True, camera_open=False, rate=0, hot=True, celsius=80)
    assert headline(paused) == "paused: the camera is closed"
    assert "v4l2:/dev/video0 (closed)" in printed(paused)
    assert headline(replace(OK, faces=0)) == "running, no face in view"


def test_durations() -> None:
    told = [duration(seconds) for seconds in (5, 65, 7500, 200_000)]
    assert told == ["5 s", "65 s", "2 h 05", "2 d 07 h"]


def test_memory_is_that_of_this_process() -> None:
    assert 10 < resident_mb() <= peak_mb() < 10_000
    assert cpu_seconds(os.getpid()) > 0
    assert cpu_seconds(2**30) == peak_mb(2**30) == 0
