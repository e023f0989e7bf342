"""Tasks and threads whose end can be waited for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

AGAIN_SECONDS = 2.0
"""How long a task may take to end before it is cancelled again."""


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until every one has ended; their errors are dropped.

    Once is not enough: before Python 3.12 `asyncio.wait_for` loses a cancellation that comes
    in the moment of its result (CPython issue 86296), and the task goes on for ever.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    # asyncio complains of errors that are never retrieved.
    await asyncio.gather(*tasks, return_exceptions=True)


class Worker:
    """Runs `work` in a thread of its own; `done` becomes its result or its error."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self._work = work
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        # A thread that hangs in a driver must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    async def join(self, seconds: float) -> bool:
        """Wait until the thread has ended; False when it has not after `seconds`."""
        await asyncio.wait([self.done], timeout=seconds)
        if self.done.done():
            # Nothing but the thread's last instructions are left.
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work()
        except BaseException as exc:
            error = exc
        # A thread that overstayed its deadline may find the loop closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: BaseException | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
