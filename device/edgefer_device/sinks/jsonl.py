"""`jsonl:`, every report as one line of JSON, in one file or in several of limited size."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from typing_extensions import Self

from edgefer.errors import SinkError
from edgefer.messages import Report, to_json
from edgefer_device.sinks.lines import LineWriter
from edgefer_device.sinks.rotation import Rotation, rotate

STDOUT = 1


class JsonLinesSink:
    """Appends reports to a file, or to standard output for the path `-`.

    With a rotation a full file is put aside as `FILE.1` and a new one begun.
    """

    def __init__(self, path: str, rotation: Rotation | None = None) -> None:
        self._path, self._rotation = path, rotation
        self._descriptor: int | None = None
        self._lines: LineWriter | None = None
        self._size = 0

    async def __aenter__(self) -> Self:
        self._open()
        assert self._descriptor is not None
        if self._rotation is not None and not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self._close()
            raise SinkError(f"jsonl:{self._path}: no regular file: it cannot be limited by max_mb")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    async def publish(self, report: Report) -> None:
        """Write the report; raise `SinkError` when the disk is full or the reader has gone."""
        line = to_json(report)
        length = len(line.encode()) + 1
        if self._rotation is not None and self._rotation.is_due(self._size, length):
            await self._rotate(self._rotation.keep)
        assert self._lines is not None, "a sink is used inside 'async with'"
        await self._lines.write(line)
        self._size += length

    def _open(self) -> None:
        self._descriptor = STDOUT if self._path == "-" else _open(Path(self._path))
        self._size = os.fstat(self._descriptor).st_size if self._descriptor != STDOUT else 0
        self._lines = LineWriter(self._descriptor, f"jsonl:{self._path}")

    def _close(self) -> None:
        if self._lines is not None:
            self._lines.close()
        if self._descriptor is not None and self._descriptor != STDOUT:
            os.close(self._descriptor)
        self._lines = self._descriptor = None

    async def _rotate(self, keep: int) -> None:
        """Begin a new file. Everything was written: reports come one at a time."""
        self._close()
        try:
            await asyncio.to_thread(rotate, Path(self._path), keep)
        except OSError as exc:
            raise SinkError(f"jsonl:{self._path}: cannot be rotated: {exc.strerror}") from exc
        self._open()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise SinkError(f"jsonl:{path}: cannot be written: {exc.strerror}") from exc
