"""Notifications to systemd over a real socket, and when the watchdog is pinged."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefer_device.daemon.systemd import STATUS_SECONDS, Notifier, Watchdog


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(5)

    def heard(self) -> str:
        return self._socket.recv(4096).decode()

    @property
    def is_silent(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(5)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    named = tmp_path / "n" if request.param == "file" else f"@edgefer-{os.getpid()}"
    manager = Manager(str(named))
    yield manager
    manager.close()


def test_each_notification_is_one_datagram(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address}, clock=lambda: 12.5)
    notifier.ready()
    notifier.reloading()
    notifier.keep_alive()
    notifier.stopping()
    heard = [manager.heard() for _ in range(4)]
    assert heard == [
        "READY=1",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_a_status_is_one_line_and_sent_once(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    notifier.status("paused:\nthe camera is closed")
    notifier.status("paused: the camera is closed")
    assert manager.heard() == "STATUS=paused: the camera is closed"
    assert manager.is_silent


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_without_a_manager_nothing_is_sent_or_raised(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address} if address else {})
    notifier.ready()
    assert notifier.enabled == address.startswith("/")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_time_is_read(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog_seconds == seconds


def test_the_watchdog_is_pinged_for_progress_and_while_paused_alone(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "n"))
    progress, paused = [0], [False]
    notifier = Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "8000000"})
    watchdog = Watchdog(notifier, lambda: progress[0], lambda: paused[0], lambda: "running")
    assert watchdog.interval == 2.0
    assert watchdog.check()  # the first look cannot know
    assert (manager.heard(), manager.heard()) == ("WATCHDOG=1", "STATUS=running")
    assert not watchdog.check()
    assert manager.is_silent
    progress[0] += 1
    assert watchdog.check()
    assert manager.heard() == "WATCHDOG=1"
    paused[0] = True
    assert watchdog.check()
    assert watchdog.check()
    manager.close()


def test_the_watchdog_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "n"))
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    watchdog = Watchdog(notifier, lambda: 0, lambda: True, lambda: "running")
    assert watchdog.interval == STATUS_SECONDS

    async def whole() -> None:
        running = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(whole())
    assert manager.heard() == "WATCHDOG=1"
    manager.close()
