"""The machines that TF_CONFIG names, and waiting until all of them are there."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from edgefer.errors import RunError, SettingsError

log = logging.getLogger(__name__)

EXAMPLE = (
    'TF_CONFIG=\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}\', with its own index on each worker'
)

PORTS = 65_535
POLL_SECONDS = 0.5
"""Between two attempts to reach the workers that are not there yet."""


class Addresses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All workers as HOST:PORT, each of which the others can reach."""

    worker: tuple[str, ...] = ()
    chief: tuple[str, ...] = ()
    """The first worker, where it has a place of its own."""


class Task(msgspec.Struct, frozen=True):
    """The place of this process in a cluster."""

    type: Literal["chief", "worker"]
    index: int


class Cluster(msgspec.Struct, frozen=True):
    """Cluster in the environment variable TF_CONFIG, as TensorFlow reads it."""

    cluster: Addresses
    task: Task

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of all workers, the first one's first."""
        return (*self.cluster.chief, *self.cluster.worker)

    @property
    def workers(self) -> int:
        """Number of all workers."""
        return len(self.addresses)

    @property
    def worker(self) -> int:
        """This process's number among them; the first one keeps what comes of the fit."""
        return self.task.index + (len(self.cluster.chief) if self.task.type == "worker" else 0)


def read_cluster() -> Cluster:
    """Return the cluster in TF_CONFIG; raise `SettingsError` unless it can be used."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        raise SettingsError(f"--strategy multiworker needs the workers' addresses: {EXAMPLE}")
    try:
        cluster = msgspec.json.decode(text, type=Cluster)
    except msgspec.DecodeError as exc:
        raise SettingsError(f"TF_CONFIG: {exc}; expected: {EXAMPLE}") from exc
    _require_place(cluster)
    return cluster


def _require_place(cluster: Cluster) -> None:
    addresses: tuple[str, ...] = getattr(cluster.cluster, cluster.task.type)
    if not 0 <= cluster.task.index < len(addresses):
        raise SettingsError(
            f"TF_CONFIG: task index {cluster.task.index} is none of the "
            f"{len(addresses)} addresses of '{cluster.task.type}'"
        )
    for address in cluster.addresses:
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal() and int(port) <= PORTS):
            raise SettingsError(f"TF_CONFIG: '{address}' is not an address, expected HOST:PORT")


def wait_for_others(cluster: Cluster, minutes: float) -> None:
    """Wait until every other worker listens at its address, as this one does meanwhile.

    TensorFlow would wait in C++ without end, where no signal and no other thread comes through.
    Raises `RunError` that names who did not come, `SettingsError` when the own port is taken.
    """
    own = cluster.addresses[cluster.worker]
    missing = [address for address in cluster.addresses if address != own]
    if not missing:
        return
    # Shells let what they start in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end = time.monotonic() + 60 * minutes
    with _listening(own):
        log.info("waiting for %s, at most %g minutes", ", ".join(missing), minutes)
        while missing := [address for address in missing if not is_there(address)]:
            if time.monotonic() > end:
                raise RunError(
                    f"waited {minutes:g} minutes, {', '.join(missing)} did not come; start a "
                    "training there with the same TF_CONFIG, or wait longer: --strategy "
                    "multiworker:60"
                )
            time.sleep(POLL_SECONDS)


def _listening(address: str) -> socket.socket:
    port = int(address.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, backlog=128, dualstack_ipv6=both)
    except OSError as exc:
        raise SettingsError(f"TF_CONFIG: cannot listen at '{address}': {exc}") from exc


def is_there(address: str) -> bool:
    """Return whether anything listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except (OSError, ValueError, OverflowError):  # the last two for what is no address
        return False
    return True


@contextmanager
def ending_at_once(minutes: float) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process while TensorFlow joins its workers, and after.

    It waits in C++, where Python's handlers never run, and for SIGTERM it sets a handler of its
    own. A worker that is lost on the way ends this one after as many minutes, by SIGALRM.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
