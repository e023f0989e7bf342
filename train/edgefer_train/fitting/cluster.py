"""The workers of a fit on several machines, as TF_CONFIG names them."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from edgefer.errors import SettingsError

EXAMPLE = (
    'TF_CONFIG=\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}\', with its own index on each worker'
)


class Addresses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All workers as HOST:PORT, each of which the others can reach."""

    worker: tuple[str, ...] = ()
    chief: tuple[str, ...] = ()
    """The first worker, where it has a place of its own."""


class Task(msgspec.Struct, frozen=True):
    """Which of them this process is."""

    type: Literal["chief", "worker"]
    index: int


class Cluster(msgspec.Struct, frozen=True):
    """What TensorFlow reads from the environment variable TF_CONFIG."""

    cluster: Addresses
    task: Task

    @property
    def workers(self) -> int:
        """Number of all workers."""
        return len(self.cluster.chief) + len(self.cluster.worker)

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
    for address in (*cluster.cluster.chief, *cluster.cluster.worker):
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            raise SettingsError(f"TF_CONFIG: '{address}' is no address, expected HOST:PORT")
