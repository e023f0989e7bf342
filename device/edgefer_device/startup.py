"""What a start of the daemon costs: a real one is started, timed and weighed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

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
    first: float | None = None
    # Not communicate(): the process must be waited for by wait4, which tells its memory.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            if first is None and msgspec.json.decode(line, type=Report).mood is not None:
                first = time.monotonic() - began
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if first is None:
        raise CameraError(f"{camera}: no mood was reported; name a camera that shows a face")
    return Startup(round(first, 3), round(usage.ru_maxrss * 1024 / 1e6, 1))
