"""Serve a web application on an address, to this machine, and to others by token."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from edgefer.errors import ServerError, SettingsError
from edgefer_device.system.paths import state_folder
from edgefer_device.web.access import (
    PARAMETER,
    TOKEN_FILE,
    Token,
    guard,
    is_loopback,
    security_headers,
)
from edgefer_device.web.connections import (
    UNREAD_SECONDS,
    Connection,
    ConnectionPool,
    Limits,
    keep_while_busy,
)

HIGHEST_PORT = 65535


class WebServer:
    """Serve routes on one address: to this machine freely, to others and a proxy by token."""

    def __init__(
        self,
        what: str,
        host: str,
        port: int,
        state: Path | None = None,
        routes: Iterable[web.RouteDef] = (),
        hosts: Collection[str] = (),
        frame_ancestors: Collection[str] = (),
    ) -> None:
        """`what` names it in messages; port 0 takes any free one; `state` keeps the token.

        `hosts` are names by which a proxy before it is reached, `frame_ancestors` the origins
        whose pages may show it in a frame.
        Raises `SettingsError` for a port that does not exist.
        """
        if not 0 <= port <= HIGHEST_PORT:
            raise SettingsError(f"{what}: port must be 0..{HIGHEST_PORT}, got {port}")
        self.what, self.host, self.port = what, host, port
        self.routes = list(routes)
        self._hosts, self._ancestors = frozenset(map(str.lower, hosts)), frame_ancestors
        self._state = state or state_folder(None)
        self._token: Token | None = None
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """The root's address, with the real port once started."""
        return url_of(self.host, self.port)

    @property
    def address(self) -> str:
        """The URL that any browser may open: with the token, where one is required."""
        return f"{self.url}?{PARAMETER}={self._token.secret}" if self._token else self.url

    @property
    def token_file(self) -> Path | None:
        """The file with the token that other machines must show; None where none can connect."""
        return None if self._token is None else self._state / TOKEN_FILE

    async def start(self, *routes: web.RouteDef) -> None:
        """Serve these routes beside its own until `close`; raises `ServerError`."""
        if self._hosts or not is_loopback(self.host):
            self._load_token()
        check = guard(self.host, self._load_token, self._hosts, bool(self._ancestors))
        application = web.Application(middlewares=[check])
        application.on_response_prepare.append(security_headers(self._ancestors))
        application.add_routes([*routes, *self.routes])
        self._listener = await listen(application, self.host, self.port, self.what)
        self.port = self._listener.port

    def _load_token(self) -> Token:
        """Return the token; a page on loopback needs it only behind a proxy."""
        if self._token is None:
            self._token = Token.load(self._state)
        return self._token

    async def close(self) -> None:
        """Stop serving; may be repeated."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None


@dataclass(frozen=True, slots=True)
class Listener:
    """An application that is served on a port until `close`."""

    port: int
    _server: asyncio.Server
    _runner: web.AppRunner

    async def close(self) -> None:
        """Stop listening, and end all connections."""
        self._server.close()
        await self._runner.cleanup()


async def listen(
    application: web.Application, host: str, port: int, what: str, limits: Limits | None = None
) -> Listener:
    """Serve an application; `what` names it in messages.

    Raises `ServerError` if the address is taken or not this machine's.
    """
    application.middlewares.insert(0, keep_while_busy)
    # A browser keeps a spare idle connection open: no reason to wait at the end.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    loop, pool, web_server = asyncio.get_running_loop(), ConnectionPool(what, limits), runner.server
    assert web_server is not None, "set up"
    try:
        server = await loop.create_server(lambda: Connection(pool, web_server, loop), host, port)
    except OSError as exc:
        await runner.cleanup()
        raise ServerError(
            f"{what}: cannot listen on {host} port {port}: {os_reason(exc)}; {_advice(exc)}"
        ) from exc
    for listening in server.sockets:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
    return Listener(server.sockets[0].getsockname()[1], server, runner)


def _advice(exc: OSError) -> str:
    """Return what to do where an address cannot be listened on."""
    if isinstance(exc, socket.gaierror) or exc.errno == errno.EADDRNOTAVAIL:
        return "expected an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return "choose a port above 1023"
    return "choose another port or host, or end the program that holds it"


def os_reason(exc: OSError) -> str:
    """Return the system's text of an error, in place of asyncio's, which is long."""
    # Resolver errors carry negative numbers that the system does not know.
    number = exc.errno or 0
    return os.strerror(number) if number > 0 else exc.strerror or str(exc)


def url_of(host: str, port: int) -> str:
    """Return the address of a page that is listened for on `host`."""
    return f"http://{_browser_name(host)}:{port}/"


def _browser_name(host: str) -> str:
    """Return what to type into a browser to reach an address listened on."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host
    if number.is_unspecified:
        return socket.gethostname()
    return f"[{host}]" if number.version == 6 else host
