"""Run a program that stays: with room for files, and a log that repeated errors do not fill."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")
OPEN_FILES = 4096
"""Soft limit to start with; as in edgefer.service."""
SHORTAGES = ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC", "EDQUOT", "EFBIG")
"""What the machine lacks for a while: no fault of ours, and no reason for a traceback."""


def run_service(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on an event loop of its own."""

    async def run() -> T:
        asyncio.get_running_loop().set_exception_handler(_log_error)
        return await main

    raise_file_limit()
    with throttled_log():
        return asyncio.run(run())


def raise_file_limit(wanted: int = OPEN_FILES) -> None:
    """Raise the soft limit of open files, as far as the hard one lets it."""
    import resource  # not on Windows, from where devices are deployed to

    # systemd's system call filter may refuse to; LimitNOFILE= has done it then.
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def is_shortage(error: BaseException | None) -> bool:
    """Return whether an error may pass when files, memory or room on the disk are freed."""
    # By name: Windows has not all of them.
    return isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in SHORTAGES


def _log_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no task takes, such as a failed accept; a shortage in one line."""
    error: BaseException | None = context.get("exception")
    message = str(context.get("message"))
    if is_shortage(error):
        log.warning("%s: %s", message, error)
    elif isinstance(error, ValueError) and "._start_serving(" in message:
        # asyncio accepts again a second after a shortage, even if the server was closed meanwhile.
        log.debug("%s: %s", message, error)
    else:
        loop.default_exception_handler(context)


@dataclass
class _Lines:
    """Lines of one place in the code since `since`."""

    since: float
    count: int = 0


class LogThrottle(logging.Filter):
    """Pass `most` lines of one place in the code within `seconds`, and count the others."""

    def __init__(
        self, most: int = 10, seconds: float = 60.0, clock: Clock = time.monotonic
    ) -> None:
        super().__init__()
        self._most, self._seconds, self._clock = most, seconds, clock
        self._places: dict[tuple[object, ...], _Lines] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record; several handlers may ask for the same one."""
        if record.levelno < logging.INFO:
            return True
        passed = record.__dict__.get("passed")
        if passed is None:
            passed = record.__dict__["passed"] = self._count(record)
        return bool(passed)

    def _count(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
        now, place = self._clock(), (record.name, record.pathname, record.lineno, error)
        lines = self._places.setdefault(place, _Lines(now))
        if now - lines.since >= self._seconds:
            left_out = lines.count - self._most
            self._places[place] = lines = _Lines(now)
            if left_out > 0:
                _append(record, f"{left_out} lines like this were left out")
        lines.count += 1
        if lines.count == self._most:
            _append(record, f"more lines like this are left out for {self._seconds:g} s")
        return lines.count <= self._most


@contextlib.contextmanager
def throttled_log() -> Iterator[None]:
    """Throttle all that the program logs."""
    throttle = LogThrottle()
    handlers = list(logging.getLogger().handlers)
    if not handlers and logging.lastResort is not None:
        handlers = [logging.lastResort]
    for handler in handlers:
        handler.addFilter(throttle)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(throttle)


def _append(record: logging.LogRecord, remark: str) -> None:
    record.msg, record.args = f"{record.getMessage()} ({remark})", None
