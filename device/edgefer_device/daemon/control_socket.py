"""The daemon's own door: a socket in its state folder, for `edgefer status`, `pause`, `resume`.

One question and one answer a connection, each a line of JSON. Only who may write to the
folder may knock: that is the whole of its access control (unix(7)).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import Self

from edgefer.errors import EdgeferError, SinkError
from edgefer_device.system.paths import SYSTEM, state_folder

log = logging.getLogger(__name__)

FILE = "control.sock"
LONGEST = 4096
"""Bytes of a question."""
TIMEOUT_SECONDS = 5.0
"""How long either side waits for the other."""
HARMLESS = OSError, asyncio.TimeoutError, ValueError, asyncio.CancelledError
"""What ends one conversation and nothing else; the end of the daemon is among it, because
asyncio (3.11) prints a traceback for a conversation that was cancelled."""


class Question(msgspec.Struct, frozen=True):
    """What is asked for."""

    ask: str
    value: float | None = None


class Answer(msgspec.Struct, frozen=True):
    """What was said to it: a result, or an error in one line."""

    result: Any = None
    error: str | None = None


Handler = Callable[[float | None], object]
"""Does what was asked for and returns the result; an `EdgeferError` or `ValueError` is an error."""


class Door:
    """Answers at the socket while it is entered; who cannot have one does without, aloud."""

    def __init__(self, folder: Path, handlers: Mapping[str, Handler]) -> None:
        self.path = folder / FILE
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[object]] = set()
        # asyncio wants the name again at the end, so that it must hold for all that time.
        self._name = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except OSError as exc:
            why = exc.strerror or exc
            log.warning("%s: no socket (%s): edgefer status cannot reach this one", self.path, why)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            # Whoever still stands at the door is let out; asyncio would do it with a traceback.
            for caller in self._callers:
                caller.cancel()
            if self._callers:
                await asyncio.wait(self._callers)
            await self._server.wait_closed()
            self._server = None
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._name.close()

    async def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        near = self._name.enter_context(short(self.path))
        if _is_answered(near):
            log.warning("%s: another edgefer answers there: this one does not", self.path)
            return
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._attend, near, limit=LONGEST)
        self.path.chmod(0o600)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._callers.add(own)
        try:
            with contextlib.suppress(*HARMLESS):
                line = await asyncio.wait_for(reader.readline(), TIMEOUT_SECONDS)
                writer.write(msgspec.json.encode(self._answer(line)) + b"\n")
                await asyncio.wait_for(writer.drain(), TIMEOUT_SECONDS)
        finally:
            writer.close()
            self._callers.discard(own)

    def _answer(self, line: bytes) -> Answer:
        try:
            question = msgspec.json.decode(line, type=Question)
            handler = self._handlers.get(question.ask)
            if handler is None:
                known = ", ".join(self._handlers)
                return Answer(error=f"unknown question '{question.ask}'; known: {known}")
            return Answer(handler(question.value))
        except (EdgeferError, ValueError) as exc:
            return Answer(error=str(exc))


def ask(folder: Path, question: str, value: float | None = None) -> Any:
    """Ask the daemon of a state folder; raise `SinkError` where none answers, or it refuses."""
    path = folder / FILE
    try:
        with short(path) as near, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(TIMEOUT_SECONDS)
            caller.connect(near)
            caller.sendall(msgspec.json.encode(Question(question, value)) + b"\n")
            with caller.makefile("rb") as file:
                line = file.readline()
    except OSError as exc:
        why = "not running" if isinstance(exc, (FileNotFoundError, ConnectionRefusedError)) else exc
        raise SinkError(
            f"{path}: no daemon answers ({why}); start edgefer run, or name its "
            "configuration with --config (a service's needs sudo)"
        ) from exc
    answer = msgspec.json.decode(line, type=Answer) if line else Answer(error="it said nothing")
    if answer.error is not None:
        raise SinkError(f"{path}: {answer.error}")
    return answer.result


def find_folder(chosen: str | None, named: bool) -> Path:
    """Return the folder of the daemon that is meant: without a `named` configuration the user's
    own where one answers there, else the system service's."""
    own = state_folder(chosen)
    if not named and not (own / FILE).exists() and (SYSTEM / FILE).exists():
        return SYSTEM
    return own


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """Yield a name of a socket's path that fits the 108 bytes that unix(7) allows."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _is_answered(path: str) -> bool:
    """Whether a living process holds the socket; what a killed one left behind refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(TIMEOUT_SECONDS)
        try:
            caller.connect(path)
        except OSError:
            return False
    return True
