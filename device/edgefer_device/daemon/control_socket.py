"""The control socket in the daemon's state folder: `edgefer status`, `pause`, `resume`...

One request and one response a connection, each a line of JSON. Only who may write to the
folder may connect: that is the whole of its access control (unix(7)).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import Self

from edgefer.errors import ControlError, EdgeferError
from edgefer.messages import NOT_JSON
from edgefer_device.sinks.enrollment import EnrollmentRequest
from edgefer_device.system.paths import SYSTEM, state_folder

log = logging.getLogger(__name__)

SOCKET = "control.sock"
MAX_REQUEST_BYTES = 4096
TIMEOUT_SECONDS = 5.0
"""How long either side waits for the other."""
MAX_CONNECTIONS = 32
"""At once; beyond these a connection is closed unread."""
EXPECTED = OSError, asyncio.TimeoutError, ValueError, asyncio.CancelledError
"""What ends one connection and nothing else; the end of the daemon is among it, because
asyncio (3.11) prints a traceback for a connection that was cancelled."""


Value = float | EnrollmentRequest | None
"""What a command may bring."""


class Request(msgspec.Struct, frozen=True):
    """A command to the daemon."""

    command: str
    value: Value = None


class Response(msgspec.Struct, frozen=True):
    """A result, or an error in one line."""

    result: Any = None
    error: str | None = None


Handler = Callable[[Value], object]
"""Executes a command and returns its result; an `EdgeferError` or `ValueError` is an error."""


class ControlServer:
    """Serves the control socket while it is entered; where that fails it logs why and goes on.

    `owner` is whether the state folder is this daemon's alone: it takes the socket from one that
    reads a clip there, which itself leaves the socket to whoever serves it.
    """

    def __init__(self, folder: Path, handlers: Mapping[str, Handler], owner: bool = False) -> None:
        self.path = folder / SOCKET
        self._handlers, self._owner = handlers, owner
        self._served: os.stat_result | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[object]] = set()
        # asyncio needs the short name again at the end, so that it must hold for all that time.
        self._name = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except OSError as exc:
            why = exc.strerror or exc
            log.warning("%s: no control socket (%s): edgefer status cannot connect", self.path, why)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            # Left to asyncio, an open connection would end with a traceback.
            for connection in self._connections:
                connection.cancel()
            if self._connections:
                await asyncio.wait(self._connections)
            await self._server.wait_closed()
            self._server = None
            with contextlib.suppress(OSError):
                if self._served and os.path.samestat(self._served, self.path.stat()):
                    self.path.unlink()
        self._name.close()

    async def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = self._name.enter_context(short_path(self.path))
        if not self._owner and is_served(self.path.parent):
            log.info("%s: edgefer status shows another daemon, not this one", self.path)
            return
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, name, limit=MAX_REQUEST_BYTES)
        self.path.chmod(0o600)
        self._served = self.path.stat()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections.add(own)
        try:
            with contextlib.suppress(*EXPECTED):
                line = await asyncio.wait_for(reader.readline(), TIMEOUT_SECONDS)
                writer.write(msgspec.json.encode(self._handle(line)) + b"\n")
                await asyncio.wait_for(writer.drain(), TIMEOUT_SECONDS)
        finally:
            writer.close()
            self._connections.discard(own)

    def _handle(self, line: bytes) -> Response:
        try:
            request = msgspec.json.decode(line, type=Request)
            handler = self._handlers.get(request.command)
            if handler is None:
                known = ", ".join(self._handlers)
                return Response(error=f"unknown command '{request.command}'; known: {known}")
            return Response(handler(request.value))
        except (EdgeferError, ValueError) as exc:
            return Response(error=str(exc))


def request(folders: Iterable[Path], command: str, value: Value = None) -> Any:
    """Send a command to the daemon of the first state folder that has one; return the result.

    Raises `ControlError` where none responds, with each place and why, or where it refuses.
    """
    tried = []
    for path in (folder / SOCKET for folder in folders):
        try:
            line = _exchanged(path, msgspec.json.encode(Request(command, value)) + b"\n")
        except (TimeoutError, ConnectionResetError, BrokenPipeError) as exc:
            # It may have been heard: the next daemon is not the one that was meant.
            limit = f" within {TIMEOUT_SECONDS:g} s" if isinstance(exc, TimeoutError) else ""
            raise ControlError(f"{path}: no response{limit}; ask edgefer status") from exc
        except OSError as exc:
            tried.append(f"{path} ({exc.strerror or exc})")
        else:
            return _result(path, line)
    raise ControlError(
        f"no daemon responds at {', nor at '.join(tried)}; start edgefer run, or name its "
        "configuration with --config (a service's needs sudo)"
    )


def _exchanged(path: Path, line: bytes) -> bytes:
    """Return the line with which a socket's server responds to one."""
    with _connected(path) as connection:
        connection.sendall(line)
        with connection.makefile("rb") as file:
            return file.readline()


def _result(path: Path, line: bytes) -> Any:
    try:
        response = msgspec.json.decode(line, type=Response)
    except NOT_JSON:
        response = Response(error=f"{'another program' if line else 'nobody'} responds there")
    if response.error is not None:
        raise ControlError(f"{path}: {response.error}")
    return response.result


def find_folders(configured: str | None, explicit: bool) -> tuple[Path, ...]:
    """Return the state folders of the daemons that may be meant, the likeliest first.

    Without an `explicit` configuration that is the user's own, then the system service's.
    """
    own = state_folder(configured)
    return (own,) if explicit or own == SYSTEM else (own, SYSTEM)


def is_served(folder: Path) -> bool:
    """Whether a daemon holds the control socket of a state folder, ours to use or not."""
    try:
        with short_path(folder / SOCKET) as name, _socket() as connection:
            code = connection.connect_ex(name)
    except OSError:
        return False
    return code not in (errno.ENOENT, errno.ECONNREFUSED)


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a name of a socket's path that fits the 108 bytes that unix(7) allows."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with short_path(path) as name, _socket() as connection:
        connection.connect(name)
        yield connection


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(TIMEOUT_SECONDS)
    return made
