"""The phone's page on an event loop of its own, and the browser with a camera that sees a clip."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import cv2
from aiohttp import web
from selenium.webdriver import Chrome

from edgefer_device.export.web import application
from edgefer_device.web.server import listen

PATIENCE = 60.0


class LivePage:
    """Serves the page's files on this machine while it is entered."""

    def __init__(self, files: Mapping[str, bytes], port: int = 0) -> None:
        self.files, self.port = dict(files), port
        self.sent = 0
        """Bytes of files that went out, headers not counted."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="live page")

    @property
    def url(self) -> str:
        """Its address: browsers trust this one with a camera."""
        return f"http://localhost:{self.port}/"

    def __enter__(self) -> LivePage:
        self._thread.start()
        app = application(self.files)
        app.on_response_prepare.append(self._count)
        serving = listen(app, "127.0.0.1", self.port, "phone page")
        self._listener = asyncio.run_coroutine_threadsafe(serving, self._loop).result(PATIENCE)
        self.port = self._listener.port
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._listener.close(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _count(self, _: web.Request, answer: web.StreamResponse) -> None:
        self.sent += answer.content_length or 0


def mjpeg(clip: Path, out: Path, times: int = 1) -> Path:
    """Write a clip as the stream that Chromium's fake camera plays, each picture several times."""
    capture, pictures = cv2.VideoCapture(str(clip)), []
    while (read := capture.read())[0]:
        _, jpeg = cv2.imencode(".jpg", read[1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        pictures += [jpeg.tobytes()] * times
    capture.release()
    out.write_bytes(b"".join(pictures))
    return out


def fake_camera(stream: Path | None = None) -> list[str]:
    """Return Chromium's flags for a camera that needs no permission and plays a stream."""
    flags = ["use-fake-ui-for-media-stream", "use-fake-device-for-media-stream"]
    return flags if stream is None else [*flags, f"use-file-for-fake-video-capture={stream}"]


def remember_moods(driver: Chrome) -> None:
    """Let every page keep what it reports, from its start on, in `moods` and `took`."""
    source = (
        "window.moods = []; window.took = [];"
        "document.addEventListener('report', ({ detail }) => {"
        " moods.push(detail.mood); took.push([detail.detected, detail.took]); });"
    )
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
