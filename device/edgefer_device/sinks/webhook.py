"""`webhook:`, a POST of JSON to a web address whenever the mood changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable
from datetime import datetime, timezone
from urllib.parse import urlsplit

import aiohttp
import msgspec
from typing_extensions import Self

from edgefer import __version__
from edgefer.errors import SettingsError
from edgefer.messages import Report
from edgefer_device.system.tasks import cancel_and_wait

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
"""How long the server may take for one answer."""
BACKOFF_SECONDS = (0.5, 60.0)
"""The first wait before trying again, doubled up to the last."""
FAREWELL_SECONDS = 2.0
"""How long the changes that are left may take when we leave."""
CAPACITY = 32
"""Changes that wait for a server; of more than that the oldest are dropped."""
TOO_MANY_REQUESTS = 429


class Change(msgspec.Struct, frozen=True):
    """What is posted."""

    at: datetime
    """When the change was seen; ISO 8601 with the offset to UTC."""
    mood: str | None
    """None when there is no face."""
    before: str | None
    """The mood that was told last."""
    confidence: float | None
    """Smoothed probability of `mood`, 0..1."""
    faces: int
    problem: str | None = None
    """Why nothing can be seen; None while the camera gives pictures."""


def now_in_utc() -> datetime:
    """Return the time of day that is posted."""
    return datetime.now(timezone.utc)


class WebhookSink:
    """Posts each change in order, and again until the server takes it; `publish` never waits."""

    def __init__(
        self,
        url: str,
        now: Callable[[], datetime] = now_in_utc,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Remember the address; raises `SettingsError` for one that cannot be posted to."""
        self._url, self._now, self._jitter = url, now, jitter
        self.name = checked(url)
        """The server, for people; never the path, which may hold a secret."""
        self.fault: str | None = None
        """Why the last change could not be delivered; None once one was."""
        self.dropped = 0
        """Changes that were lost: the server refused them, or was away for too long."""
        self._said: tuple[str | None, bool] | None = None
        self._waiting: asyncio.Queue[Change] = asyncio.Queue(CAPACITY)
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send(), name=f"webhook {self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sender is None:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._waiting.join(), FAREWELL_SECONDS)
        await cancel_and_wait(self._sender)
        self._sender = None

    async def publish(self, report: Report) -> None:
        """Queue the report's mood if it is not the one told last."""
        seen = report.mood, report.problem is None
        if self._said == seen:
            return
        before = self._said[0] if self._said else None
        self._said = seen
        sure = None if report.confidence is None else round(report.confidence, 3)
        change = Change(self._now(), report.mood, before, sure, len(report.faces), report.problem)
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
            self.dropped += 1
        self._waiting.put_nowait(change)

    async def _send(self) -> None:
        """Post what waits, for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        agent = {"User-Agent": f"edgefer/{__version__}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(timeout=timeout, headers=agent) as session:
            while True:
                await self._deliver(session, await self._waiting.get())
                self._waiting.task_done()

    async def _deliver(self, session: aiohttp.ClientSession, change: Change) -> None:
        """Post one change until it is taken, or refused in a way that trying cannot mend."""
        wait = BACKOFF_SECONDS[0]
        while True:
            fault, again = await self._post(session, change)
            self._tell(fault, again)
            if fault is None or not again:
                self.dropped += fault is not None
                return
            # Jitter, so that many mirrors do not come back in the same moment.
            await asyncio.sleep(wait * (1 + self._jitter()) / 2)
            wait = min(2 * wait, BACKOFF_SECONDS[1])

    async def _post(
        self, session: aiohttp.ClientSession, change: Change
    ) -> tuple[str | None, bool]:
        """Return what went wrong, None for nothing, and whether trying again may help."""
        body = msgspec.json.encode(change)
        try:
            # A redirect would repeat a POST at an address that nobody chose.
            async with session.post(self._url, data=body, allow_redirects=False) as answer:
                status = answer.status
        except asyncio.TimeoutError:
            return f"no answer within {TIMEOUT_SECONDS:g} s", True
        except (aiohttp.ClientError, OSError) as exc:
            return _words(exc), True
        if 200 <= status < 300:
            return None, False
        return f"answers {status}", status >= 500 or status == TOO_MANY_REQUESTS

    def _tell(self, fault: str | None, again: bool) -> None:
        """Log a trouble when it begins, not at each attempt."""
        if fault is not None and fault != self.fault:
            what = "trying again" if again else "the change is dropped"
            log.warning("webhook %s: %s; %s", self.name, fault, what)
        self.fault = fault


def checked(url: str) -> str:
    """Return an address's server for people; raise `SettingsError` if it is none to post to."""
    form = "expected webhook:https://HOST/PATH"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise SettingsError(f"webhook: {exc}; {form}") from None
    if parts.scheme not in ("http", "https") or not host:
        # The address is not repeated: its path or password may be a secret.
        raise SettingsError(f"webhook: not an http or https address; {form}")
    return host if port is None else f"{host}:{port}"


def _words(exc: Exception) -> str:
    """Return why a server was not reached, without the address, whose path may hold a secret."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(exc, aiohttp.ClientConnectorError):
        # asyncio words these errors at length; resolver errors carry numbers that are not errno's.
        number = exc.os_error.errno or 0
        return os.strerror(number) if number > 0 else exc.os_error.strerror or "no such host"
    return type(exc).__name__
