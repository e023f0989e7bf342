"""`jsonl:`, every report as one line of JSON."""

from __future__ import annotations

import os
from pathlib import Path

from typing_extensions import Self

from edgefer.errors import SinkError
from edgefer.messages import Report, to_json
from edgefer_device.lines import LineWriter

STDOUT = 1


class JsonLinesSink:
    """Appends reports to a file, or to standard output for the path `-`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._lines: LineWriter | None = None

    async def __aenter__(self) -> Self:
        self._descriptor = STDOUT if self._path == "-" else _open(Path(self._path))
        self._lines = LineWriter(self._descriptor, f"jsonl:{self._path}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._lines is not None:
            self._lines.close()
        if self._descriptor is not None and self._descriptor != STDOUT:
            os.close(self._descriptor)
        self._lines = self._descriptor = None

    async def publish(self, report: Report) -> None:
        """Write the report; raise `SinkError` when the disk is full or the reader has gone."""
        assert self._lines is not None, "a sink is used inside 'async with'"
        await self._lines.write(to_json(report))


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise SinkError(f"jsonl:{path}: cannot be written: {exc.strerror}") from exc
