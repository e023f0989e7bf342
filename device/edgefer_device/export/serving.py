"""The page served on this machine alone, for a look: browsers trust localhost with a camera."""

from __future__ import annotations

import asyncio
import mimetypes
import sys
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from edgefer_device.export.web import policy_of
from edgefer_device.web.access import guard
from edgefer_device.web.server import listen

HOST, PORT = "127.0.0.1", 8138
TYPES = {
    ".js": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".bin": "application/octet-stream",
}


def headers_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the headers that a host should send with every file."""
    return {
        # The page's own policy; what it must not be framed by cannot stand in HTML.
        "Content-Security-Policy": f"{policy_of(files)}; frame-ancestors 'none'",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        # The service worker keeps the files by their hashes; the rest asks each time.
        "Cache-Control": "no-cache",
    }


def application(files: Mapping[str, bytes]) -> web.Application:
    """Return what serves the page's files from memory."""
    app = web.Application(middlewares=[guard(HOST)])
    headers = headers_of(files)
    for name, content in files.items():
        app.router.add_get(f"/{name}", _handler(name, content, headers))
    app.router.add_get("/", _handler("index.html", files["index.html"], headers))
    return app


def serve(files: Mapping[str, bytes], port: int = PORT) -> None:
    """Serve the page until Ctrl-C; raise `SinkError` where the port is taken."""
    try:
        asyncio.run(_serve(files, port))
    except KeyboardInterrupt:
        print(file=sys.stderr)


async def _serve(files: Mapping[str, bytes], port: int) -> None:
    runner = await listen(application(files), HOST, port, "phone page")
    try:
        print(
            f"phone page: http://localhost:{runner.addresses[0][1]}/ (Ctrl-C ends it)",
            file=sys.stderr,
            flush=True,
        )
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _handler(name: str, content: bytes, headers: Mapping[str, str]) -> Handler:
    suffix = f".{name.rpartition('.')[2]}"
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind, headers=headers)

    return answer
