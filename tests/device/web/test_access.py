"""Who may read a page: malformed headers, proxies, and names beside this machine's own."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from aiohttp import ClientSession

from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.sinks.opening import SinkContext
from edgefer_device.web.access import TOKEN_FILE, Token
from support.live_mirror import mirror_sink

PATIENCE = 30.0
BAD = [
    b"Origin: http://[::1",
    b"Origin: \xff",
    b"Authorization: Bearer \xff",
    b"Authorization: \xff\xfe",
    b"Cookie: edgefer=\xff; \xff=1; =; ;;",
    b'Cookie: edgefer="\\999\\',
    b"Cookie: {}[](),=\x7f",
    b"Accept: application/openmetrics-text; version=one",
    b"Accept: application/openmetrics-text; version=1.0.0\xff; escaping=\xff",
    b"Accept: text/plain; version=",
    b"Accept: \xff",
    b"Accept-Language: \xff;q=\xff, de;q=nan, ;q=, en;q=inf",
    b"Host: [::1",
    b"Host: \xff",
    b"Host: 127.0.0.1:\xd9\xa1\xd9\xa2",
    b"Range: bytes=\xff-",
    b"Range: bytes=9-1",
    b"If-Modified-Since: Mon, 99 Nov 99999 99:99:99",
    b"If-None-Match: \xff",
    b"If-Range: \xff",
    b"Accept-Encoding: \xff;q=one",
    b"Expect: \xff",
    b"Content-Type: \xff",
    b"Content-Encoding: deflate",
    b"Content-Length: \xff",
    b"Transfer-Encoding: \xff",
    b"X-Forwarded-For: \xff",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\xff",
    b"Sec-WebSocket-Protocol: \xff",
    b"Sec-WebSocket-Version: \xff",
    b"Sec-WebSocket-Key: \xff",
]
ALLOWED = {101, 200, 206, 304, 400, 401, 403, 404, 406, 416, 417, 421, 503}
"""503 is `/healthz` without a camera."""
PATHS = [
    "/",
    "/metrics",
    "/healthz",
    "/texts.json",
    "/ws",
    "/api/state",
    "/mirror.js",
    "/?token=%ff",
    "/%ff",
]


PROXIED = [
    "Forwarded: for=192.0.2.7",
    "X-Forwarded-For: 192.0.2.7",
    "X-Forwarded-Proto: https",
    "X-Real-IP: 192.0.2.7",
    "Via: 1.1 proxy",
    "CF-Connecting-IP: 192.0.2.7",
    "True-Client-IP: 192.0.2.7",
    "Tailscale-User-Login: somebody",
]
NAMED = MirrorSettings(hosts=("mirror.example", "Mirror.fritz.box"))


async def status(sink: MirrorSink, path: str, *lines: bytes) -> int:
    """Return the status of a request with some raw header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.server.port)
    given = {line.partition(b":")[0].lower() for line in lines}
    usual = [
        b"Host: 127.0.0.1",
        b"Connection: Upgrade" if path == "/ws" else b"Connection: close",
        b"Upgrade: websocket" if path == "/ws" else b"",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    head = [line for line in usual if line and line.partition(b":")[0].lower() not in given]
    writer.write(b"\r\n".join([f"GET {path} HTTP/1.1".encode(), *head, *lines, b"", b""]))
    first = await reader.readline()
    writer.close()
    return int(first.split()[1])


@pytest.mark.parametrize("line", BAD)
def test_a_malformed_header_is_refused_or_ignored(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> set[int]:
        async with mirror_sink(SinkContext(state=tmp_path), "0.0.0.0:0") as sink:
            found = set()
            for path in PATHS:
                for more in ([], [b"X-Forwarded-For: 192.0.2.7"]):
                    found.add(await status(sink, path, line, *more))
            return found

    found = asyncio.run(asyncio.wait_for(whole(), PATIENCE))
    assert not found - ALLOWED
    assert "Traceback" not in caplog.text


def test_no_header_of_any_bytes_ends_in_an_error_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(20)
    pieces = [*{line.partition(b":")[0] for line in BAD}]

    async def whole() -> set[int]:
        async with mirror_sink(SinkContext(state=tmp_path), "0.0.0.0:0") as sink:
            found = set()
            for _ in range(500):
                value = bytes(chance.choice(b'=;,:/[]"\\ aq1.%\xff\xc3\x80') for _ in range(12))
                line = chance.choice(pieces) + b": " + value
                found.add(await status(sink, chance.choice(PATHS), line))
            return found

    found = asyncio.run(asyncio.wait_for(whole(), PATIENCE))
    assert not found - ALLOWED
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("header", PROXIED)
@pytest.mark.parametrize("path", ["/", "/ws", "/metrics", "/mirror.js"])
def test_who_comes_through_a_proxy_to_a_page_on_loopback_needs_the_token(
    tmp_path: Path, header: str, path: str
) -> None:
    async def whole() -> list[int]:
        async with mirror_sink(SinkContext(state=tmp_path)) as sink:
            assert not (tmp_path / TOKEN_FILE).exists(), "nobody needed it yet"
            there, proxied = await status(sink, path), header.encode()
            without = await status(sink, path, proxied)
            token = (tmp_path / TOKEN_FILE).read_bytes().strip()
            right = await status(sink, path, proxied, b"Authorization: Bearer " + token)
            wrong = await status(sink, path, proxied, b"Authorization: Bearer wrong")
            return [there, without, right, wrong]

    fine = 101 if path == "/ws" else 200
    assert asyncio.run(asyncio.wait_for(whole(), PATIENCE)) == [fine, 401, fine, 401]


@pytest.mark.parametrize(
    ("lines", "without", "with_token"),
    [
        (["Host: mirror.example"], 401, 101),
        (["Host: MIRROR.example:8443", "Origin: https://mirror.example:8443"], 401, 101),
        (["Host: mirror.fritz.box:8137", "X-Forwarded-For: 192.0.2.7"], 401, 101),
        # A proxy that sets a Host of its own.
        (["Origin: https://mirror.example", "X-Forwarded-For: 192.0.2.7"], 401, 101),
        (["Host: mirror.example.evil.example"], 421, 421),
        (["Host: other.example", "X-Forwarded-For: 192.0.2.7"], 421, 421),
        (["Host: mirror.example", "Origin: https://evil.example"], 403, 403),
        (["Host: mirror.example", "Origin: null"], 403, 403),
        ([], 101, 101),
    ],
)
def test_a_configured_name_is_let_in_with_the_token(
    tmp_path: Path, lines: list[str], without: int, with_token: int
) -> None:
    sent = [line.encode() for line in lines]

    async def whole() -> tuple[int, int]:
        async with mirror_sink(SinkContext(state=tmp_path, mirror=NAMED)) as sink:
            token = (tmp_path / TOKEN_FILE).read_bytes().strip()
            return (
                await status(sink, "/ws", *sent),
                await status(sink, "/ws", *sent, b"Authorization: Bearer " + token),
            )

    assert asyncio.run(asyncio.wait_for(whole(), PATIENCE)) == (without, with_token)


def test_a_token_that_cannot_be_kept_lets_no_one_through_a_proxy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def whole() -> tuple[int, int]:
        async with mirror_sink(SinkContext(state=tmp_path / "file")) as sink:
            return await status(sink, "/"), await status(sink, "/", b"Via: 1.1 proxy")

    assert asyncio.run(asyncio.wait_for(whole(), PATIENCE)) == (200, 503)


@pytest.mark.parametrize("host", ["https://mirror.example", "mirror.example:80", "*", "", "a b"])
def test_a_name_that_no_browser_sends_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="hosts must be names"):
        MirrorSettings(hosts=(host,))


# --- frames ------------------------------------------------------------------


def test_only_the_configured_origins_may_frame_the_page(tmp_path: Path) -> None:
    async def policy(settings: MirrorSettings) -> str:
        context = SinkContext(state=tmp_path, mirror=settings)
        async with (
            mirror_sink(context) as sink,
            ClientSession() as session,
            session.get(sink.server.url) as answer,
        ):
            return answer.headers["Content-Security-Policy"].rpartition("; ")[2]

    origins = ("http://localhost:8080", "https://ha.example")
    framed = MirrorSettings(frame_ancestors=origins)
    assert asyncio.run(policy(MirrorSettings())) == "frame-ancestors 'none'"
    assert asyncio.run(policy(framed)) == f"frame-ancestors {' '.join(origins)}"


@pytest.mark.parametrize(
    ("settings", "proxy", "site"),
    [
        (MirrorSettings(), {"X-Forwarded-Proto": "https"}, "SameSite=Strict; Secure"),
        (MirrorSettings(), {"Via": "1.1 proxy"}, "SameSite=Strict"),
        (
            MirrorSettings(frame_ancestors=("https://ha.example",)),
            {"X-Forwarded-Proto": "https"},
            "SameSite=None; Secure",
        ),
        # A browser refuses SameSite=None without TLS.
        (
            MirrorSettings(frame_ancestors=("http://ha.example",)),
            {"Via": "1.1 proxy"},
            "SameSite=Strict",
        ),
    ],
)
def test_a_frame_of_another_site_gets_a_cookie_that_browsers_keep(
    tmp_path: Path, settings: MirrorSettings, proxy: dict[str, str], site: str
) -> None:
    async def story() -> str:
        async with mirror_sink(SinkContext(state=tmp_path, mirror=settings)) as sink:
            secret = Token.load(tmp_path).secret
            async with (
                ClientSession(headers=proxy) as session,
                session.get(f"{sink.server.url}?token={secret}", allow_redirects=False) as answer,
            ):
                return answer.headers["Set-Cookie"]

    parts = {part.strip() for part in asyncio.run(story()).split(";")}
    assert {part for part in parts if part.startswith(("SameSite", "Secure"))} == set(
        site.split("; ")
    )


@pytest.mark.parametrize(
    "origin", ["ha.example", "*", "http://ha.example/", "http://a b", "http://x; script-src *"]
)
def test_an_ancestor_that_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="frame_ancestors must be origins such as"):
        MirrorSettings(frame_ancestors=(origin,))
