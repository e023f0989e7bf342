"""Connections of a web server: how many in all and from one peer, and how long each may wait."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)

REQUEST_SECONDS = 15.0
"""For a whole request head, from the connection's start or the last response on."""
BODY_SECONDS = 5.0
"""For the rest of a request's body after the response: no route reads one."""
UNREAD_SECONDS = 30
"""For which a client may leave what is sent to it unread (TCP_USER_TIMEOUT, tcp(7))."""
LONGEST_REASON = 200
"""Characters of an error that a log line shows."""
HERE = "this machine"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections may be open at once."""

    here: int = 128
    """From this machine, beside all others."""
    others: int = 128
    """From all other machines together."""
    peer: int = 32
    """From one of them; of IPv6 from one /64, which is what one machine may own."""


class Connection(web.RequestHandler):
    """One connection to a `ConnectionPool`."""

    __slots__ = ("_pool", "peer")

    def __init__(
        self, pool: ConnectionPool, server: web.Server, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # what web.AppRunner passes for none
            keepalive_timeout=REQUEST_SECONDS,
            lingering_time=BODY_SECONDS,
            auto_decompress=False,
        )
        self._pool = pool
        self.peer = ""
        """Whose share of the limits this one takes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        super().connection_made(transport)
        self.peer = peer_of(transport.get_extra_info("peername"))
        if not self._pool.add(self):
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and leave room for another."""
        self._pool.remove(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """End at once, with whatever was not sent yet."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the response to a request that failed: 400 where its bytes are no text."""
        if isinstance(exc, UnicodeError):
            status, message = 400, "a header is not UTF-8\n"
        return super().handle_error(request, status, exc, message)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log why a request failed in one line, and the traceback for `--verbose`."""
        given = kw.get("exc_info")
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        # Escaped and cut: its text may repeat what a stranger sent.
        reason = ascii(" ".join(str(error).split())[:LONGEST_REASON])
        log.warning("%s: bad request from %s: %s", self._pool.what, self.peer, reason)
        log.debug("%s", args[0] if args else "", exc_info=error)


class ConnectionPool:
    """The open connections; where there are too many, those idle for longest give way."""

    def __init__(self, what: str, limits: Limits | None = None) -> None:
        """`what` names the server in messages."""
        self.what, self._limits = what, limits or Limits()
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        """Without a request, the one idle for longest first."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, new: Connection) -> bool:
        """Make room for a connection and count it; return whether there was room."""
        limits = self._limits
        if new.peer == HERE:
            room = self._make_room([one for one in self._open if one.peer == HERE], limits.here)
        else:
            same = [one for one in self._open if one.peer == new.peer]
            room = self._make_room(same, limits.peer) and self._make_room(
                [one for one in self._open if one.peer != HERE], limits.others
            )
        if room:
            self._open.add(new)
            self._idle[new] = None
        return room

    def remove(self, connection: Connection) -> None:
        """Count a connection no longer; may be repeated."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    @contextlib.contextmanager
    def busy(self, connection: Connection) -> Iterator[None]:
        """Keep a connection from giving way while its request is handled."""
        self._idle.pop(connection, None)
        try:
            yield
        finally:
            if connection in self._open:
                self._idle[connection] = None

    def _make_room(self, rivals: list[Connection], most: int) -> bool:
        if len(rivals) < most:
            return True
        log.warning("%s: too many connections from %s", self.what, rivals[0].peer)
        chosen = set(rivals)
        longest = next((one for one in self._idle if one in chosen), None)
        if longest is None:
            return False
        self.remove(longest)
        longest.abort()
        return True


@web.middleware
async def keep_while_busy(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mark a request's connection as busy."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    with connection._pool.busy(connection):
        return await handler(request)


def peer_of(address: object) -> str:
    """Return whose share of the limits a socket's peer address takes."""
    try:
        number = ipaddress.ip_address(address[0].partition("%")[0])  # type: ignore[index]
    except (TypeError, ValueError, IndexError):
        return "unknown"  # it has left already
    if isinstance(number, ipaddress.IPv6Address):
        number = number.ipv4_mapped or number
    if number.is_loopback:
        return HERE
    if number.version == 6:
        return str(ipaddress.ip_network((number, 64), strict=False))
    return str(number)
