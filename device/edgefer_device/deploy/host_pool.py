"""The work of several hosts at once, each in a process of its own.

pyinfra stands on gevent, whose loops do not bear several threads: with ten it crashed.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.queues import Queue
from typing import Any, TypeVar

from edgefer_device.deploy.connection import Report

Out = TypeVar("Out")
Work = Callable[[Report], Out]
"""One host's, which tells lines; a function or a `partial` of one, for it goes to a process."""
Line = tuple[str, str]
"""A host and what it tells."""

TOGETHER = 20
"""Hosts at a time; each costs this machine a process of some 60 MB."""

_told: Any = None
"""In a child: where its lines go."""


def run_on_hosts(
    works: Sequence[tuple[str, Work[Out]]], tell: Callable[[str, str], None]
) -> list[Out]:
    """Do the work of each host; return what came of them in order."""
    if len(works) < 2:
        return [work(lambda line, host=host: tell(host, line)) for host, work in works]  # type: ignore[misc]  # mypy takes no default for a lambda's argument
    # A fresh interpreter: a copy of this one would share its locks and sockets.
    context = multiprocessing.get_context("spawn")
    lines: Queue[Line | None] = context.Queue()
    teller = threading.Thread(target=_tell_all, args=(lines, tell), name="telling")
    teller.start()
    size = min(TOGETHER, len(works))
    try:
        with ProcessPoolExecutor(size, context, _begin, (lines,)) as pool:
            return list(pool.map(_do, *zip(*works, strict=True)))
    finally:
        lines.put(None)
        teller.join()


def _tell_all(lines: Queue[Line | None], tell: Callable[[str, str], None]) -> None:
    while (line := lines.get()) is not None:
        tell(*line)


def _begin(lines: Queue[Line | None]) -> None:
    global _told  # noqa: PLW0603 - a process of a pool has no other place for it
    _told = lines


def _do(host: str, work: Work[Out]) -> Out:
    return work(lambda line: _told.put((host, line)))
