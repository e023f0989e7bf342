"""The phone page: its files, ready for any web server, and a server for this machine alone."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import html
import importlib.metadata
import logging
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from edgefer.bundle import Bundle
from edgefer.errors import BundleError
from edgefer_device.export.contract import FILES, contract_of
from edgefer_device.export.npm import Package, fetch, member
from edgefer_device.faces.blazeface import FULL, SHORT, find_model
from edgefer_device.page import SHARED, page_files
from edgefer_device.sinks.mirror.settings import languages, texts_for
from edgefer_device.system.service import run_service
from edgefer_device.web.access import guard
from edgefer_device.web.server import listen

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
LITERT = Package(
    "@litertjs/core",
    "2.5.3",
    "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
)
"""LiteRT as WebAssembly (Apache-2.0). Its compat build wants neither relaxed SIMD nor threads, and
so no headers that few hosts can send; measured bit-equal with LiteRT in Python."""
GLUE, WASM = (f"wasm/litert_wasm_compat_internal.{kind}" for kind in ("js", "wasm"))
UNREAD = re.compile(rb"^[ \t]*//.*\n|^[ \t]+|^\n", re.MULTILINE)
"""A quarter of the glue: comments, indentation, empty lines; none of its strings spans lines."""
SERVICE = "service.js"
POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')
HOST, PORT = "127.0.0.1", 8138
"""Browsers trust localhost with a camera."""
TYPES = {
    ".js": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".bin": "application/octet-stream",
}

NOTICE = f"""This page holds, each under the Apache License 2.0, whose text follows:

- edgefer's page and model
- LiteRT {LITERT.version}, Copyright The AI Edge Authors (Google): litert.js, unchanged but for
  comments and indentation, and its WebAssembly; https://github.com/google-ai-edge/LiteRT
- BlazeFace, Copyright The MediaPipe Authors (Google): the face detector's weights;
  https://github.com/google-ai-edge/mediapipe

The font Jost is under the SIL Open Font License 1.1, whose text lies beside it.

"""

Files = dict[str, bytes]


def web_files(bundle: Bundle, cache: Path | None = None) -> Files:
    """Return the page's files by name, with a bundle's int8 model.

    Raises `BundleError` where the bundle has none, `DetectorError` where BlazeFace's model is not
    installed, and `FetchError` where the runtime cannot be fetched.
    """
    if "int8" not in bundle.contents:
        raise BundleError(
            f"{bundle.path}: the page runs an int8 file, which this bundle lacks; "
            "convert it again with --formats int8"
        )
    files = {name: path.read_bytes() for name, path in page_files(SHARED, PAGE).items()}
    own = _own_texts()
    # The mirror's texts, and the phone's own over them.
    for code, table in own.items():
        files[f"texts.{code}.json"] = msgspec.json.encode(
            texts_for(code, bundle.manifest.appearance) | table
        )
    names = {code: str(table["language"]) for code, table in own.items()}
    files["contract.json"] = msgspec.json.encode(contract_of(bundle.manifest, names))
    files[FILES["classifier"]] = _packed(bundle.read("int8"))
    files[FILES["far"]] = _packed(find_model(FULL).read_bytes())
    files[FILES["near"]] = _packed(find_model(SHORT).read_bytes())
    files |= _runtime(cache)
    files["LICENSES.txt"] = _licences()
    # Last, since it names all others with their hashes.
    files[SERVICE] = _release(files) + files[SERVICE]
    return dict(sorted(files.items()))


def policy_of(files: Mapping[str, bytes]) -> str:
    """Return the Content-Security-Policy that the page's own HTML declares."""
    found = POLICY.search(files["index.html"].decode())
    assert found is not None, "index.html declares its policy"
    return html.unescape(found[1])


def headers_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the headers that a host should send with every file."""
    return {
        # The page's own policy; what it must not be framed by cannot stand in HTML.
        "Content-Security-Policy": f"{policy_of(files)}; frame-ancestors 'none'",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        # The service worker keeps the files by their hashes; the rest is revalidated each time.
        "Cache-Control": "no-cache",
    }


def application(files: Mapping[str, bytes]) -> web.Application:
    """Return the application that serves the page's files from memory."""
    app = web.Application(middlewares=[guard(HOST)])
    headers = headers_of(files)
    for name, content in {**files, "": files["index.html"]}.items():
        app.router.add_get(f"/{name}", _handler(name or "index.html", content, headers))
    return app


def serve(files: Mapping[str, bytes], port: int = PORT) -> None:
    """Serve the page on loopback until Ctrl-C; raise `ServerError` where the port is taken."""
    try:
        run_service(_serve(files, port))
    except KeyboardInterrupt:
        log.info("phone page: stopped")


async def _serve(files: Mapping[str, bytes], port: int) -> None:
    listener = await listen(application(files), HOST, port, "phone page")
    address = f"http://localhost:{listener.port}/"
    try:
        log.info("phone page: %s (Ctrl-C ends it)", address)
        await asyncio.Event().wait()
    finally:
        await listener.close()


def _handler(name: str, content: bytes, headers: Mapping[str, str]) -> Handler:
    suffix = f".{name.rpartition('.')[2]}"
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"

    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind, headers=headers)

    return respond


def _runtime(cache: Path | None) -> Files:
    tarball = fetch(LITERT, cache)
    # A classic script that names its factory; the page imports modules only.
    glue = UNREAD.sub(b"", member(tarball, GLUE)) + b"\nexport default ModuleFactory;\n"
    return {"litert.js": glue, FILES["runtime"]: _packed(member(tarball, WASM))}


def _licences() -> bytes:
    """Return what the licences of the parts ask to be handed on."""
    text = importlib.metadata.distribution("edgefer").read_text("licenses/LICENSE")
    if not text:
        raise BundleError("edgefer's LICENSE is not installed, and no page goes without; reinstall")
    return NOTICE.encode() + text.encode()


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _release(files: Mapping[str, bytes]) -> bytes:
    listed = {name: _entry(content) for name, content in files.items() if name != SERVICE}
    release = msgspec.json.encode({"policy": policy_of(files), "files": listed})
    return b"self.RELEASE = " + release + b";\n"


def _entry(content: bytes) -> dict[str, object]:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"hash": digest, "bytes": len(content)}


def _own_texts() -> dict[str, dict[str, Any]]:
    """Return the phone's own texts by language."""
    paths = {code: PAGE / "languages" / f"{code}.json" for code in languages()}
    return {
        code: msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        for code, path in paths.items()
        if path.is_file()
    }
