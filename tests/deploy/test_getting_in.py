"""The ways in that ~/.ssh/config and an agent open, through a real OpenSSH server."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.conftest import Laptop, without

INSIDE = "10.0.2.100"
"""The device's address in its own network (slirp4netns), which this machine has no way to."""


@pytest.fixture
def agent(laptop: Laptop, tmp_path: Path) -> Iterator[str]:
    """The socket of an agent with the key, which lies nowhere else."""
    place = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)
    key = laptop.home / ".ssh" / "id_ed25519"
    try:
        while not place.exists():
            time.sleep(0.05)
            assert process.poll() is None
        environment = {"SSH_AUTH_SOCK": str(place)}
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True)
        with without(key):
            yield str(place)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def behind_a_jump(laptop: Laptop, known: str) -> Iterator[None]:
    """Write a configuration in which `inside` is reached by way of `hop`."""
    ssh = laptop.home / ".ssh"
    before = (ssh / "known_hosts").read_text()
    port = laptop.device.port
    (ssh / "config").write_text(
        f"Host hop\n  HostName 127.0.0.1\n  Port {port}\n  User guest\n"
        f"Host inside\n  HostName {INSIDE}\n  User pi\n  ProxyJump hop\n"
    )
    (ssh / "known_hosts").write_text(known)
    try:
        yield
    finally:
        (ssh / "known_hosts").write_text(before)
        (ssh / "config").unlink()


def test_the_agents_key_is_enough(laptop: Laptop, agent: str) -> None:
    assert "no key is accepted" in laptop.deploy("--dry-run").out
    done = laptop.deploy("--dry-run", SSH_AUTH_SOCK=agent)
    assert done.status == 0, done.out + done.err


def test_a_device_behind_a_jump_host_is_reached_with_the_agents_key(
    laptop: Laptop, agent: str
) -> None:
    hop = (laptop.home / ".ssh" / "known_hosts").read_text()
    inside = f"{INSIDE} {hop.partition(' ')[2]}"
    with behind_a_jump(laptop, hop + inside):
        done = laptop.deploy("--dry-run", "--host", "inside", SSH_AUTH_SOCK=agent)
        assert done.status == 0, done.out + done.err
    # What the server says of its last two guests: the hop's, and the device's by way of it.
    asked = "journalctl -u ssh --output=cat | grep -E 'Accepted .* for (guest|pi) ' | tail -n 2"
    first, second = laptop.device.check(asked).splitlines()
    assert "for guest from 10.0.2.2 " in first
    assert f"for pi from {INSIDE} " in second


@pytest.mark.parametrize("unknown", ["hop", "inside"])
def test_no_key_on_the_way_is_trusted_unseen(laptop: Laptop, agent: str, unknown: str) -> None:
    hop = (laptop.home / ".ssh" / "known_hosts").read_text()
    known = {"hop": hop, "inside": f"{INSIDE} {hop.partition(' ')[2]}"}
    del known[unknown]
    with behind_a_jump(laptop, "".join(known.values())):
        done = laptop.deploy("--dry-run", "--host", "inside", SSH_AUTH_SOCK=agent)
    assert done.status == 1
    assert "host key is unknown: compare it, then log in once with: ssh inside" in done.out
