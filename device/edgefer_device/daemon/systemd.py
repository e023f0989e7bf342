"""The service protocol of systemd: readiness, status and watchdog.

Each message is one datagram to the socket in `NOTIFY_SOCKET` (sd_notify(3)). Without that
variable nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

from edgefer_device.system.clock import Clock

WATCHDOG_SHARE = 1 / 4
"""Of the watchdog's time, after which the progress is checked again."""
STATUS_SECONDS = 5.0
"""How often the status line is renewed without a watchdog."""


class Notifier:
    """Notifies the service manager, if there is one; it never raises and never blocks."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Clock = time.monotonic
    ) -> None:
        """Read `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` from the environment."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._status: str | None = None
        self.watchdog_seconds = _watchdog_seconds(environment)
        """Seconds after which systemd takes a silent service for hung; None: no watchdog."""

    @property
    def enabled(self) -> bool:
        """Whether a service manager listens."""
        return self._address is not None

    def ready(self) -> None:
        """Report that the start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the configuration is being reloaded, until `ready`."""
        # systemd compares this with when it sent the signal (Type=notify-reload).
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * 1e6)}")

    def stopping(self) -> None:
        """Report that shutdown has begun."""
        self._send("STOPPING=1")

    def keep_alive(self) -> None:
        """Send the watchdog's keep-alive ping."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Send the status line; an unchanged one is not sent again."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        # A manager that is gone or busy is no reason for the mirror to end.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as connection:
            connection.sendto("\n".join(lines).encode(), self._address)


class Watchdog:
    """Pings systemd's watchdog while work is done, or paused; never for time that has passed.

    `progress` counts frames analysed and tries to reopen a lost camera. A thread that hangs
    does neither, however healthy the event loop is.
    """

    def __init__(
        self,
        notifier: Notifier,
        progress: Callable[[], int],
        paused: Callable[[], bool],
        status: Callable[[], str],
    ) -> None:
        self._notifier, self._progress, self._paused = notifier, progress, paused
        self._status = status
        self._last = -1

    @property
    def interval(self) -> float:
        """Seconds between two checks."""
        limit = self._notifier.watchdog_seconds
        return STATUS_SECONDS if limit is None else limit * WATCHDOG_SHARE

    async def run(self) -> None:
        """Check at every interval, for ever."""
        while True:
            self.check()
            await asyncio.sleep(self.interval)

    def check(self) -> bool:
        """Ping if anything was done since the last check; return whether it was."""
        progress = self._progress()
        alive = progress != self._last or self._paused()
        self._last = progress
        if alive:
            self._notifier.keep_alive()
        self._notifier.status(self._status())
        return alive


def _address(name: str) -> str | None:
    """Return the socket's address; one that begins with @ has no file (unix(7))."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
