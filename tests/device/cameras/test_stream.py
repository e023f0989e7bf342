"""Streams, from real servers of MJPEG over HTTP and RTSP, killed and started again."""

from __future__ import annotations

import asyncio
import logging
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice

import cv2
import numpy as np
import pytest
from aiohttp import web

from edgefer.errors import CameraError, CameraNotFound
from edgefer_device.cameras.camera import Camera, Frame
from edgefer_device.cameras.opening import open_camera
from support.mosquitto import free_port
from support.rtsp import serving

SECONDS = 30.0
"""Time after which a test is given up."""


class Server:
    """An MJPEG server on loopback, in a thread of its own: grey pictures that grow lighter."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/live"
        self.seen: list[str] = []
        self.asked = threading.Semaphore(0)
        self.sending = True
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="mjpeg")
        self._thread.start()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(SECONDS)

    def kill(self) -> None:
        """Stop, and cut off whoever listens."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(SECONDS)

    def end(self) -> None:
        self.kill()
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result(SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/live", self._send)
        app.router.add_get("/page", _page)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def _stop(self) -> None:
        for _ in range(5):  # who has just knocked is let in, and so sent away with the others
            await asyncio.sleep(0)
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def _settle(self) -> None:
        """Let connections that came at the last moment end."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for _ in range(3):  # transports close on the loop's next rounds
            await asyncio.sleep(0)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path_qs)
        self.asked.release()
        response = web.StreamResponse(
            headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
        )
        await response.prepare(request)
        try:
            for number in range(100_000):
                while not self.sending:
                    await asyncio.sleep(0.01)
                await response.write(_part(number))
                await asyncio.sleep(0.02)
        except ConnectionError:
            """The listener left."""
        finally:
            # Killed means killed: what was written is not waited for.
            if request.transport is not None:
                request.transport.abort()
        return response


def _part(number: int) -> bytes:
    image = cv2.imencode(".jpg", np.full((48, 64, 3), number % 256, np.uint8))[1].tobytes()
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
    return head.encode() + image + b"\r\n"


async def _page(_: web.Request) -> web.Response:
    return web.Response(text="<h1>no video</h1>")


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    one.start()
    yield one
    one.end()


@contextmanager
def watched(camera: Camera) -> Iterator[queue.Queue[Frame]]:
    """The frames of a camera, taken by a thread as the daemon does it."""
    frames: queue.Queue[Frame] = queue.Queue()

    def take() -> None:
        for frame in camera.frames():
            frames.put(frame)

    watching = threading.Thread(target=take, name="watching")
    watching.start()
    with closing(camera):
        yield frames
    watching.join(SECONDS)
    assert not watching.is_alive()


def until_silent(frames: queue.Queue[Frame]) -> None:
    """Take frames until none comes for a while."""
    while True:
        try:
            frames.get(timeout=1.0)
        except queue.Empty:
            return


def test_a_stream_is_read_and_its_query_is_the_servers(server: Server) -> None:
    camera = open_camera(f"{server.url}?channel=2&rotate=7#rotate=90")
    frames = list(islice(camera.frames(), 5))
    camera.close()
    assert [frame.number for frame in frames] == list(range(5))
    assert frames[0].image.shape == (64, 48, 3)
    assert camera.live
    assert server.seen == ["/live?channel=2&rotate=7"]


def test_a_killed_server_is_said_once_and_its_return_is_seen(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with watched(open_camera(f"{server.url}#timeout=1s")) as frames:
        before = frames.get(timeout=SECONDS)
        server.kill()
        until_silent(frames)
        server.start()
        after = frames.get(timeout=SECONDS)
    assert after.number > before.number
    assert after.time > before.time
    said = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert len(said) == 2
    assert said[0].startswith(f"{server.url}: gives no more frames, after ")
    assert said[0].endswith("is it switched on and in the network?; trying to reopen it")
    assert said[1].startswith("the camera is back, after ")


def test_an_rtsp_camera_is_read_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    with serving(port) as first:
        camera = open_camera(f"rtsp://127.0.0.1:{port}/live?channel=2#timeout=5s")
        with watched(camera) as frames:
            before = frames.get(timeout=SECONDS)
            assert before.image.shape == (48, 64, 3)
            assert first.asked == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
            first.ended.set()
            first.shutdown()
            first.server_close()
            until_silent(frames)
            with serving(port):
                assert frames.get(timeout=SECONDS).number > before.number
                camera.close()
    said = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert said[1].startswith("the camera is back, after ")
    assert len(said) == 2


def test_a_server_that_falls_silent_is_left_and_asked_again(server: Server) -> None:
    with watched(open_camera(f"{server.url}#timeout=500ms")) as frames:
        assert server.asked.acquire(timeout=SECONDS)
        frames.get(timeout=SECONDS)
        server.sending = False
        assert server.asked.acquire(timeout=SECONDS)
        until_silent(frames)
        server.sending = True
        frames.get(timeout=SECONDS)


def test_where_nobody_listens_that_is_said_without_the_password() -> None:
    port = free_port()
    with pytest.raises(CameraNotFound) as refused:
        open_camera(f"http://me:secret@127.0.0.1:{port}/live")
    assert str(refused.value).startswith(
        f"http://127.0.0.1:{port}/live: 127.0.0.1 port {port} does not answer (Connection refused)"
    )
    assert "secret" not in str(refused.value)


def test_what_answers_but_is_no_video_is_said(server: Server) -> None:
    for path in ("page", "absent"):
        address = f"http://127.0.0.1:{server.port}/{path}#timeout=2s"
        with pytest.raises(
            CameraError, match="accepts connections, but gave no video within 2 s; check path"
        ):
            open_camera(address)


def test_one_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        port = mute.getsockname()[1]
        for scheme in ("http", "rtsp"):
            with pytest.raises(CameraError, match=r"gave no video within 0\.5 s"):
                open_camera(f"{scheme}://127.0.0.1:{port}/live#timeout=500ms")
