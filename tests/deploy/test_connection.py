"""The connection to a device: why there is none, and sudo's password on its way: by stdin alone,
in no process's arguments or environment.

The device is this machine: pyinfra's local connector, and a `sudo` and an `id` of our own.
"""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from paramiko.ssh_exception import NoValidConnectionsError

from edgefer.errors import HostRefused
from edgefer_device.deploy.connection import SMALL, Connection, Timeouts, _refusal
from edgefer_device.deploy.inventory import Access, Host

PASSWORD = "right; 'one' $x"
SUDO = """#!/bin/sh
while :; do
    case $1 in
    -n) echo "sudo: a password is required" >&2; exit 1 ;;
    -H | -k | -S) shift ;;
    -p) shift 2 ;;
    *) break ;;
    esac
done
if [ ! -e "$0.asks-not" ]; then
    IFS= read -r given
    if [ "$given" != "$(cat "$0.password")" ]; then
        echo "sudo: 1 incorrect password attempt" >&2
        exit 1
    fi
fi
exec "$@"
"""
PROCESSES = r"""
for one in /proc/[0-9]*; do cat $one/cmdline $one/environ; done 2>/dev/null | tr -c '[:print:]' ' '
echo
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a `sudo` that wants the password, and of an `id` that is not root's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sudo", SUDO), ("id", "#!/bin/sh\necho 1000\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "sudo.password").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def connected(password: str) -> Connection:
    """Return a connection to this machine, become root by sudo."""
    api: Any = importlib.import_module("pyinfra.api")
    inventory = api.Inventory((["@local"], {}))
    connection = Connection(Host("device"), Access(sudo_password=password))
    connection._state = api.State(inventory, api.Config())
    connection._peer = next(iter(inventory))
    connection._peer.connect()
    transport = SimpleNamespace(is_active=lambda: True)
    connection._peer.connector.client = SimpleNamespace(get_transport=lambda: transport)
    connection._become_root()
    return connection


def test_no_process_of_the_device_shows_it(programs: Path) -> None:
    seen = connected(PASSWORD).run(PROCESSES, "listing processes")
    assert "sh -c" in seen
    assert PASSWORD not in seen
    assert "right;" not in seen


@pytest.mark.parametrize("asks", [True, False])
def test_what_runs_does_not_get_it(programs: Path, asks: bool) -> None:
    connection = connected(PASSWORD)
    if not asks:
        # As one that trusts this command, or this user for a while.
        (programs / "sudo.asks-not").touch()
    assert connection.run("cat; echo end", "reading stdin") == "end"


@pytest.mark.parametrize("size", [0, 100, SMALL + 1])
def test_files_arrive(programs: Path, tmp_path: Path, size: int) -> None:
    place, content = tmp_path / "a folder" / "file", os.urandom(size)
    connection = connected(PASSWORD)
    assert connection.send(content, str(place), 0o640)
    assert place.read_bytes() == content
    assert place.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in place.parent.iterdir()] == ["file"]
    assert not connection.send(content, str(place), 0o640)


def test_a_wrong_one_is_refused_and_not_shown(programs: Path) -> None:
    with pytest.raises(HostRefused, match="or its password is wrong: 1 incorrect") as refused:
        connected("wrong one")
    assert "wrong one" not in str(refused.value)


def test_a_device_that_is_not_reached_is_told_with_the_reason_of_its_first_address() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    exc = Exception("cannot connect")
    exc.__context__ = NoValidConnectionsError({("::1", 22): refused, ("127.0.0.1", 22): refused})
    shown = str(_refusal(Host("device"), exc, Access(), Timeouts()))
    assert shown == ("device: does not answer: Connection refused; is it on, and in this network?")
