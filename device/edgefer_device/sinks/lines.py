"""Write lines of text to a file descriptor from a thread of their own."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from concurrent.futures import Future

from edgefer.errors import SinkError


class LineWriter:
    """Write lines without ever blocking the event loop.

    A pipe whose reader stands still blocks its writer. So the writing is done in a
    daemon thread, and on the descriptor itself: Python's own stdout has a lock that
    a blocked thread would still hold when the interpreter ends.
    """

    def __init__(self, descriptor: int, name: str, close_seconds: float = 1.0) -> None:
        """`close` waits `close_seconds` at most for a reader that has stopped reading."""
        self._descriptor, self._name, self._close_seconds = descriptor, name, close_seconds
        self._work: queue.SimpleQueue[tuple[bytes, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"lines {name}", daemon=True)
        self._thread.start()

    async def write(self, line: str) -> None:
        """Write a line; raise `SinkError` if that fails."""
        written: Future[None] = Future()
        self._work.put((line.encode() + b"\n", written))
        await asyncio.wrap_future(written)

    def close(self) -> None:
        """End the thread; may be repeated."""
        self._work.put(None)
        self._thread.join(self._close_seconds)

    def _run(self) -> None:
        torn = False
        while (item := self._work.get()) is not None:
            line, written = item
            if not written.set_running_or_notify_cancel():
                continue
            # What a full disk took of a line must not be continued by the next one.
            rest = b"\n" + line if torn else line
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                    torn = bool(rest)
                written.set_result(None)
            except OSError as exc:
                error = SinkError(f"{self._name}: cannot be written: {exc.strerror}")
                error.__cause__ = exc
                written.set_exception(error)
