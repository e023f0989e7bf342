"""The daemon's start, measured: time and CPU time to its first mood, and its peak memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import msgspec

from edgefer.errors import CameraError
from edgefer.messages import Report
from edgefer_device.system.process import cpu_seconds, peak_mb


class Startup(msgspec.Struct, frozen=True):
    """One run of `edgefer run` from nothing."""

    first_mood: float | None
    """Seconds from starting the process to its first report with a mood; None without any."""
    peak_mb: float
    """Most memory that the process held at any time, million bytes."""
    first_mood_cpu: float | None = None
    """CPU seconds until then, which other work on the machine changes little."""


def measure_startup(config: Mapping[str, str | int], seconds: float) -> Startup:
    """Run the daemon with keys of its configuration; raise `CameraError` without any report."""
    with TemporaryDirectory() as folder:
        # A JSON string or number is a TOML one too; the state folder may be a daemon's.
        lines = [
            f"{key} = {msgspec.json.encode(value).decode()}\n"
            for key, value in {**config, "state": folder}.items()
        ]
        settings = Path(folder) / "edgefer.toml"
        settings.write_text("".join(lines))
        command = [sys.executable, "-m", "edgefer.cli", "run", "--config", str(settings)]
        command += ["--sink", "jsonl:-", "--seconds", f"{seconds:g}"]
        with (Path(folder) / "stderr").open("w+") as stderr:
            return _run(command, stderr)


def _run(command: Sequence[str], stderr: IO[str]) -> Startup:
    began = time.monotonic()
    first, spent, peak, reports = None, None, 0.0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
        assert process.stdout is not None
        for line in process.stdout:
            reports += 1
            if first is None and msgspec.json.decode(line, type=Report).mood is not None:
                first = round(time.monotonic() - began, 3)
                spent = cpu_seconds(process.pid)
            peak = max(peak, peak_mb(process.pid))
    if not reports:
        stderr.seek(0)
        last = stderr.read().strip().rpartition("\n")[2]
        raise CameraError(f"the daemon reported nothing: {last.removeprefix('edgefer: ')}")
    return Startup(first, round(peak, 1), spent)
