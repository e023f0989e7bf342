"""The work of several hosts at once, each in a process of its own, its lines shown and logged.

pyinfra stands on gevent, whose loops do not bear several threads: with ten it crashed.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, TextIO, TypeVar

from typing_extensions import Self

from edgefer.console import say
from edgefer.errors import SettingsError, one_line
from edgefer_device.deploy.connection import Report
from edgefer_device.system.paths import state_folder

Result = TypeVar("Result")
Task = Callable[[Report], Result]
"""One host's work; a function or a `partial` of one, for it goes to a process."""
Line = tuple[str, str]
"""A host and what it reports."""

WORKERS = 20
"""Hosts at a time; each costs this machine a process of some 60 MB."""

_lines: Any = None
"""In a child: the queue of its lines."""


class DeployLog:
    """A file that keeps every line with its time and host; also shown on stderr."""

    def __init__(self, path: Path | None) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.path = path or state_folder(None) / "deploy" / f"{stamp}.log"
        self._lock = threading.Lock()
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, host: str, line: str) -> None:
        """Keep and show one line, whatever the host put into it."""
        line = one_line(line)
        with self._lock:
            if self._file is None:
                self._file = self._open()
            self._file.write(f"{time.strftime('%H:%M:%S')} {host}: {line}\n")
            self._file.flush()
            say(f"{host}: {line}", err=True)

    def _open(self) -> TextIO:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("a")
        except OSError as exc:
            why = exc.strerror or exc
            raise SettingsError(
                f"{self.path}: the log cannot be written: {why}; choose another --log"
            ) from exc


def run_on_hosts(
    tasks: Sequence[tuple[str, Task[Result]]], write: Callable[[str, str], None]
) -> list[Result]:
    """Run each host's task; return the results in order."""
    if len(tasks) < 2:
        return [task(lambda line, host=host: write(host, line)) for host, task in tasks]  # type: ignore[misc]  # mypy takes no default for a lambda's argument
    # A fresh interpreter: a copy of this one would share its locks and sockets.
    context = multiprocessing.get_context("spawn")
    lines: Queue[Line | None] = context.Queue()
    writer = threading.Thread(target=_write_all, args=(lines, write), name="deploy log")
    writer.start()
    size = min(WORKERS, len(tasks))
    try:
        with ProcessPoolExecutor(size, context, _set_queue, (lines,)) as pool:
            return list(pool.map(_run, *zip(*tasks, strict=True)))
    finally:
        lines.put(None)
        writer.join()


def _write_all(lines: Queue[Line | None], write: Callable[[str, str], None]) -> None:
    while (line := lines.get()) is not None:
        write(*line)


def _set_queue(lines: Queue[Line | None]) -> None:
    global _lines  # noqa: PLW0603 - a process of a pool has no other place for it
    _lines = lines


def _run(host: str, task: Task[Result]) -> Result:
    return task(lambda line: _lines.put((host, line)))
