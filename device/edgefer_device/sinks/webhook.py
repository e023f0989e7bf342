"""`webhook:`, a POST of JSON to a web address whenever the mood changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timezone

import aiohttp
import msgspec
from typing_extensions import Self

from edgefer import __version__
from edgefer.errors import SettingsError
from edgefer.messages import Report
from edgefer_device.system.address import Url
from edgefer_device.system.backoff import Backoff
from edgefer_device.system.tasks import cancel_and_wait
from edgefer_device.web.server import os_reason

log = logging.getLogger(__name__)

CAPACITY = 32
"""Changes that wait for a server; beyond that the oldest are dropped."""
TOO_MANY_REQUESTS = 429


class Change(msgspec.Struct, frozen=True):
    """The JSON that is posted."""

    at: datetime
    """When the change was seen; ISO 8601 with the offset to UTC."""
    mood: str | None
    """None when there is no face."""
    before: str | None
    """The mood that was posted last."""
    confidence: float | None
    """Filtered probability of `mood`, 0..1."""
    faces: int
    problem: str | None = None
    """Why nothing can be seen; None while frames come."""


def now_in_utc() -> datetime:
    """Return the time that is posted."""
    return datetime.now(timezone.utc)


class WebhookSink:
    """Post each change in order, and again until the server takes it; `publish` never waits."""

    def __init__(
        self,
        url: str,
        now: Callable[[], datetime] = now_in_utc,
        backoff: Backoff | None = None,
        timeout: float = 10.0,
        farewell: float = 2.0,
    ) -> None:
        """Check the address; raises `SettingsError` for one that cannot be posted to.

        `timeout` is for each response, `farewell` for the changes left at the end, seconds.
        """
        self._url, self._now = url, now
        self._backoff = backoff or Backoff(0.5, 60.0)
        self._timeout, self._farewell = timeout, farewell
        self.name = server_name(url)
        """Host and port, for people; never the path, which may hold a secret."""
        self.fault: str | None = None
        """Why the last change could not be delivered; None once one was."""
        self.dropped = 0
        """Changes that were lost: the server refused them, or was away for too long."""
        self._last: tuple[str | None, bool] | None = None
        self._queue: asyncio.Queue[Change] = asyncio.Queue(CAPACITY)
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send_loop(), name=f"webhook {self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sender is None:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._queue.join(), self._farewell)
        await cancel_and_wait(self._sender)
        self._sender = None

    async def publish(self, report: Report) -> None:
        """Queue the report's mood if it changed."""
        seen = report.mood, report.problem is None
        if self._last == seen:
            return
        before = self._last[0] if self._last else None
        self._last = seen
        sure = None if report.confidence is None else round(report.confidence, 3)
        change = Change(self._now(), report.mood, before, sure, len(report.faces), report.problem)
        if self._queue.full():
            self._queue.get_nowait()
            self._queue.task_done()
            self.dropped += 1
        self._queue.put_nowait(change)

    async def _send_loop(self) -> None:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        headers = {"User-Agent": f"edgefer/{__version__}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            while True:
                await self._deliver(session, await self._queue.get())
                self._queue.task_done()

    async def _deliver(self, session: aiohttp.ClientSession, change: Change) -> None:
        """Post one change until it is taken, or refused for good."""
        self._backoff.reset()
        while True:
            fault, retry = await self._post(session, change)
            self._log(fault, retry)
            if fault is None or not retry:
                self.dropped += fault is not None
                return
            await asyncio.sleep(self._backoff.next())

    async def _post(
        self, session: aiohttp.ClientSession, change: Change
    ) -> tuple[str | None, bool]:
        """Return what went wrong, None for nothing, and whether to try again."""
        body = msgspec.json.encode(change)
        try:
            # A redirect would repeat a POST at an address that nobody chose.
            async with session.post(self._url, data=body, allow_redirects=False) as response:
                status = response.status
        except asyncio.TimeoutError:
            return f"no answer within {self._timeout:g} s", True
        except (aiohttp.ClientError, OSError) as exc:
            return _reason(exc), True
        if 200 <= status < 300:
            return None, False
        return f"answers {status}", status >= 500 or status == TOO_MANY_REQUESTS

    def _log(self, fault: str | None, retry: bool) -> None:
        """Log a fault when it begins and when it ends, not at each attempt."""
        if fault is not None and fault != self.fault:
            consequence = "trying again" if retry else "the change is dropped"
            log.warning("webhook %s: %s; %s", self.name, fault, consequence)
        elif fault is None and self.fault is not None:
            log.info("webhook %s: delivers again", self.name)
        self.fault = fault


def server_name(url: str) -> str:
    """Return the host and port of an address; raise `SettingsError` if it is none to post to."""
    form = "webhook:https://HOST/PATH"
    if not url.startswith(("http://", "https://")):
        # The address is not repeated: its path may be a secret.
        raise SettingsError(f"webhook: not an http or https address; expected {form}")
    parts = Url.parse(f"webhook:{url}", form)
    return parts.host if parts.port is None else f"{parts.host}:{parts.port}"


def _reason(exc: Exception) -> str:
    """Return why a server was not reached, without the address, whose path may hold a secret."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return os_reason(exc.os_error)
    return type(exc).__name__
