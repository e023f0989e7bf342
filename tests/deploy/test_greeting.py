"""A host whose SSH is slow, as a small board's is that is busy, new, or says nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edgefer.errors import HostUnreachable
from edgefer_device.deploy.connection import Connection, Timeouts
from edgefer_device.deploy.inventory import Access, Host

HASTE = 0.3
"""Seconds that the network may take here."""
Answer = Callable[[socket.socket], None]


@contextmanager
def listening(answer: Answer) -> Iterator[Host]:
    """A host whose port gives whoever comes to a function."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        port.settimeout(30)

        def serve() -> None:
            with port.accept()[0] as peer:
                answer(peer)

        serving = threading.Thread(target=serve, name="slow host")
        serving.start()
        yield Host("127.0.0.1", "pi", port.getsockname()[1])
        serving.join(30)


def refusal(host: Host, access: Access, **timeouts: float) -> str:
    opened = Connection(host, access, Timeouts(**timeouts))
    with pytest.raises(HostUnreachable) as caught, opened:
        pass
    return str(caught.value)


left: list[bool] = []
"""Of each that greeted: whether its guest has closed the connection."""


def greets_late(peer: socket.socket) -> None:
    """Speak SSH, but only after a while."""
    from paramiko import RSAKey, ServerInterface, SSHException, Transport

    time.sleep(4 * HASTE)
    transport = Transport(peer)
    transport.add_server_key(RSAKey.generate(2048))
    # Who does not trust its key goes while it waits for what is agreed on.
    with suppress(SSHException, OSError, EOFError):
        transport.start_server(server=ServerInterface())
    transport.join(20)
    left.append(not transport.is_alive())


def says_nothing(peer: socket.socket) -> None:
    peer.settimeout(20)
    while peer.recv(4096):
        pass


def test_a_slow_handshake_is_waited_for() -> None:
    with listening(greets_late) as host:
        # What is looked at once the handshake is done.
        assert "its host key is unknown" in refusal(host, Access(), connect=HASTE)
    assert left.pop()


def test_a_host_that_never_greets_is_named() -> None:
    with listening(says_nothing) as host:
        why = refusal(host, Access(), handshake=1)
        assert "its SSH did not finish greeting in 1 s: is it very busy?" in why


def test_a_new_key_is_accepted_where_none_was_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with listening(greets_late) as host:
        assert "the password is wrong" in refusal(host, Access(password="guess", accept_new=True))
    assert left.pop()
    assert f"[127.0.0.1]:{host.port} " in (tmp_path / ".ssh" / "known_hosts").read_text()
