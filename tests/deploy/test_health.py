"""What a release's health is, by the daemon's own status at its control socket."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgefer_device.deploy.agent.health import check_health
from edgefer_device.deploy.agent.layout import Layout
from edgefer_device.deploy.agent.messages import Checks, DaemonStatus, Part
from edgefer_device.deploy.agent.services import Unit

WELL = DaemonStatus(
    ok=True, paused=False, camera="demo:", camera_open=True, analysed=5, page=None, parts={}
)


SERVICES: Any = SimpleNamespace(unit=lambda name: Unit(True, os.getpid(), 0, "active (running)"))
"""A service manager whose every service is this process."""


@contextmanager
def daemon(state: Path, answer: dict[str, Any]) -> Iterator[None]:
    """Answer once at the control socket of a state folder."""
    state.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(state / "control.sock"))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client, client.makefile("rwb") as file:
                assert json.loads(file.readline()) == {"command": "status"}
                file.write(json.dumps(answer).encode() + b"\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, "5 frames analysed"),
        ({"paused": True, "camera_open": False, "analysed": 0}, "0 frames analysed"),
        ({"camera_open": False}, "the camera demo: is not open"),
        ({"analysed": 4}, "4 of 5 frames analysed"),
        ({"parts": {"mqtt": Part(ok=False, note="refused")}}, "mqtt: refused"),
        ({"page": "http://127.0.0.1:1/?token=secret"}, "http://127.0.0.1:1/ does not answer: "),
    ],
)
def test_a_release_is_as_well_as_its_daemon_says(
    tmp_path: Path, changes: dict[str, Any], detail: str
) -> None:
    checks = Checks(state="/var/lib/edgefer")
    status = dataclasses.asdict(dataclasses.replace(WELL, **changes))
    with daemon(tmp_path / "var/lib/edgefer", {"result": status}):
        found = check_health(Layout(tmp_path), SERVICES, checks, "new")
    assert found.detail.startswith(detail)
    assert found.ok == ("frames analysed" in detail and " of " not in detail)


def test_a_daemon_that_refuses_is_not_well(tmp_path: Path) -> None:
    with daemon(tmp_path / "var/lib/edgefer", {"error": "it is starting"}):
        found = check_health(Layout(tmp_path), SERVICES, Checks(), "new")
    assert (found.ok, found.detail) == (False, "the daemon reports no status: it is starting")
