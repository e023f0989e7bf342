"""The start of the daemon: what it costs, and how it is started again in place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import msgspec

from edgefer.errors import CameraError
from edgefer.messages import Report


class Startup(msgspec.Struct, frozen=True):
    """One run of `edgefer run` from nothing."""

    first_mood: float
    """Seconds from starting the process to its first report with a mood."""
    peak_mb: float
    """Most memory that the process held at any time, million bytes."""


def measure_startup(model: str, camera: str) -> Startup:
    """Start the daemon on a camera and let it run to the end of the clip.

    Raises `CameraError` when it ends without having reported a mood.
    """
    command = [sys.executable, "-m", "edgefer.cli", "run", "--model", model]
    command += ["--camera", camera, "--sink", "jsonl:-", "--seconds", "10"]
    began = time.monotonic()
    first, peak = None, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if first is None and msgspec.json.decode(line, type=Report).mood is not None:
                first = time.monotonic() - began
            peak = max(peak, peak_memory(process.pid))
    if first is None:
        raise CameraError(f"{camera}: no mood was reported; name a camera that shows a face")
    return Startup(round(first, 3), round(peak / 1e6, 1))


def again() -> NoReturn:
    """Become a fresh process of the same command, under the same number: who keeps it alive
    sees no end, and where nobody does it comes back all the same."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def peak_memory(pid: int) -> float:
    """Return the most memory that a process has held so far, bytes; 0 when it is gone.

    Not `getrusage`: its figure for a child begins with the size of the parent it forked from.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    held = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return 1024 * float(next(held, 0))
