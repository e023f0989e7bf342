"""Processor time and memory of a process, from /proc (proc(5)); 0 where that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_seconds(pid: int | str = "self") -> float:
    """Return the CPU time so far, user and system, all threads."""
    # The name stands in brackets and may hold anything; times are counted from behind it.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def resident_mb(pid: int | str = "self") -> float:
    """Return the resident memory, million bytes."""
    return _memory(pid, "VmRSS:")


def peak_mb(pid: int | str = "self") -> float:
    """Return the most resident memory so far, million bytes.

    Not `getrusage`: its figure for a child begins with the size of the parent it forked from.
    """
    return _memory(pid, "VmHWM:")


def _memory(pid: int | str, key: str) -> float:
    lines = (line.split() for line in _read(pid, "status").splitlines())
    return next((int(words[1]) * 1024 / 1e6 for words in lines if words[:1] == [key]), 0.0)


def _read(pid: int | str, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:
        return ""
