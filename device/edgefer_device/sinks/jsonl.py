"""`jsonl:`, every report as one line of JSON, in one file or in several of limited size."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typing_extensions import Self

from edgefer.errors import SettingsError, SinkError
from edgefer.files import write_atomic
from edgefer.messages import Report, to_json
from edgefer_device.sinks.lines import LineWriter
from edgefer_device.system.address import count, number
from edgefer_device.system.service import is_shortage

log = logging.getLogger(__name__)

STDOUT = 1
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
MEGABYTE = 1_000_000
KEEP = 5
"""Rotated files that are kept by default."""


@dataclass(frozen=True, slots=True)
class JsonLinesOptions:
    """Options of the address: when to rotate the file, and how many rotated ones to keep."""

    max_mb: Annotated[float | None, number(0.0001, 1e6)] = None
    """Million bytes; None lets it grow."""
    keep: Annotated[int | None, count(0, 1000)] = None
    """Files; None keeps `KEEP`."""

    def is_full(self, size: int, more: int) -> bool:
        """Return whether to rotate a file of `size` bytes before `more` are written.

        A file never grows over the limit, unless one line alone is larger.
        """
        return self.max_mb is not None and size > 0 and size + more > round(self.max_mb * MEGABYTE)


class JsonLinesSink:
    """Append reports to a file, or to standard output for the path `-`."""

    def __init__(self, path: str, options: JsonLinesOptions | None = None) -> None:
        """Check path and options; raises `SettingsError`."""
        self._path, self._options = path, options or JsonLinesOptions()
        self._descriptor: int | None = None
        self._lines: LineWriter | None = None
        self._size = 0
        self.fault: str | None = None
        """Why reports are left out; None while they are written."""
        if not path:
            raise SettingsError("jsonl: no path; write jsonl:PATH, or jsonl:- for standard output")
        if self._options.max_mb is None and self._options.keep is not None:
            raise SettingsError(f"jsonl:{path}: 'keep' needs a limit beside it, such as max_mb=10")
        if path == "-" and self._options.max_mb is not None:
            raise SettingsError("jsonl:-: standard output cannot be limited; give a path")

    async def __aenter__(self) -> Self:
        self._open()
        assert self._descriptor is not None
        regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        if self._options.max_mb is not None and not regular:
            self._close()
            raise SinkError(f"jsonl:{self._path}: no regular file: it cannot be limited by max_mb")
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        """Close the file; raise `SinkError` where the last reports are missing from it."""
        self._close()
        if self.fault is not None and kind is None:
            raise SinkError(self.fault)

    async def publish(self, report: Report) -> None:
        """Write the report, or leave it out while the disk is full; raise `SinkError`.

        That is for what waiting does not mend, such as a reader that has gone.
        """
        try:
            await self._write(to_json(report))
        except SinkError as exc:
            if not is_shortage(exc.__cause__):
                raise
            if self.fault is None:
                log.warning("%s; reports are left out until it can", exc)
            self.fault = str(exc)
            return
        if self.fault is not None:
            log.info("jsonl:%s: is written again", self._path)
        self.fault = None

    async def _write(self, line: str) -> None:
        length = len(line.encode()) + 1
        if self._options.is_full(self._size, length):
            await self._rotate()
        if self._lines is None:
            self._open()
        assert self._lines is not None, "it is open"
        await self._lines.write(line)
        self._size += length

    def _open(self) -> None:
        name = f"jsonl:{self._path}"
        try:
            self._descriptor = STDOUT if self._path == "-" else os.open(self._path, FLAGS, 0o600)
        except OSError as exc:
            raise SinkError(f"{name}: cannot be written: {exc.strerror}") from exc
        self._size = os.fstat(self._descriptor).st_size if self._descriptor != STDOUT else 0
        self._lines = LineWriter(self._descriptor, name)

    def _close(self) -> None:
        if self._lines is not None:
            self._lines.close()
        if self._descriptor is not None and self._descriptor != STDOUT:
            os.close(self._descriptor)
        self._lines = self._descriptor = None
        self._size = 0

    async def _rotate(self) -> None:
        """End the file; the next line opens a new one. Reports come one at a time."""
        self._close()
        keep = KEEP if self._options.keep is None else self._options.keep
        try:
            await asyncio.to_thread(rotate, Path(self._path), keep)
        except OSError as exc:
            raise SinkError(f"jsonl:{self._path}: cannot be rotated: {exc.strerror}") from exc


def rotate(path: Path, keep: int) -> None:
    """Rename a file to `FILE.1` and put an empty one in its place; nothing is lost by an OSError.

    The empty file is renamed over the full one, so that the path always leads to a file.
    """
    numbered = [path.with_name(f"{path.name}.{place}") for place in range(1, keep + 1)]
    # Where a full disk stopped the last attempt at its end, the first part is done.
    if numbered and not (numbered[0].exists() and numbered[0].samefile(path)):
        for older, newer in zip(numbered[:0:-1], numbered[-2::-1], strict=True):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)
        numbered[0].unlink(missing_ok=True)
        try:
            os.link(path, numbered[0])
        except OSError:
            # FAT, as on a card's boot partition, has no hard links.
            path.replace(numbered[0])
    write_atomic(path, b"", 0o600)
