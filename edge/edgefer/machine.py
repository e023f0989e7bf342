"""The machine that a figure was measured on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """Return processor, cores and system: `AMD EPYC, 2 cores, Linux x86_64`."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    model = next(names, "unknown processor")
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
