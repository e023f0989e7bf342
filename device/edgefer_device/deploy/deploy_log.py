"""Several hosts at once: who does what is shown line by line, kept in a log, and summed up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click
from typing_extensions import Self

from edgefer_device.deploy.host_pool import Work, run_on_hosts
from edgefer_device.deploy.spec import Result
from edgefer_device.system.paths import state_folder

COLOURS = {"deployed": "green", "unchanged": "green", "would change": "yellow"}

Task = Work[Result]


class Log:
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
        """Keep and show one line."""
        with self._lock:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a")
            self._file.write(f"{time.strftime('%H:%M:%S')} {host}: {line}\n")
            self._file.flush()
            click.echo(f"{host}: {line}", err=True)


def together(tasks: Sequence[tuple[str, Task]], log: Log) -> list[Result]:
    """Do the work of several hosts at once; return their results in order."""
    results = run_on_hosts(tasks, log.write)
    for result in results:
        log.write(result.host, f"{result.status}: {result.detail}")
    return results


def show(results: Sequence[Result], log: Log) -> None:
    """Print what came out, host by host, on stdout."""
    widest = max(len(result.host) for result in results)
    for result in results:
        for change in result.changes if result.status == "would change" else ():
            click.echo(f"{result.host:<{widest}}  would {change}")
        status = click.style(f"{result.status:<12}", fg=COLOURS.get(result.status, "red"))
        took = f"  ({result.seconds:.0f} s)" if result.seconds else ""
        click.echo(f"{result.host:<{widest}}  {status}  {result.detail}{took}")
    if sys.stderr.isatty():
        click.echo(f"log: {log.path}", err=True)
