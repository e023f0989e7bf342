"""What a service tells systemd: that it runs, how it is, and that it still lives.

One datagram for each message to the socket that `NOTIFY_SOCKET` names, as described in
sd_notify(3). Where nothing is named, nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

from edgefer_device.system.clock import Clock


class Notifier:
    """Speaks to the service manager, if there is one; it never raises and never waits."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Clock = time.monotonic
    ) -> None:
        """Read `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` from the environment."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._status: str | None = None
        self.watchdog = _watchdog(environment)
        """Seconds after which systemd takes a silent service for hung; None: it does not watch."""

    @property
    def spoken_to(self) -> bool:
        """Whether anyone listens."""
        return self._address is not None

    def ready(self) -> None:
        """Say that the start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` ends it."""
        # systemd compares this with when it sent the signal (Type=notify-reload).
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * 1e6)}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line how it is; the same line is not said twice."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        # A manager that is gone or busy is no reason for the mirror to end.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as door:
            door.sendto("\n".join(lines).encode(), self._address)


def _address(named: str) -> str | None:
    """Return the socket's address; one that begins with @ has no file (unix(7))."""
    if named.startswith("@"):
        return "\0" + named[1:]
    return named if named.startswith("/") else None


def _watchdog(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or meant != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
