"""The lock of a deployment, which spans many commands over one connection.

It names the process of the SSH server that serves that connection, and counts as long as that
lives: whoever is cut off leaves nothing behind that somebody would have to clear away. It lies
in /run, which a restart empties.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .files import read_message
from .layout import Layout, Refused
from .messages import to_json

SERVERS = ("sshd", "dropbear")
"""How the programs begin that serve a connection; OpenSSH 9.8's is `sshd-session`."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock."""

    who: str
    pid: int
    """Of the SSH server's process for the connection."""
    began: int
    """When that began, ticks since the boot: numbers are used again."""
    since: int
    """When the lock was taken, seconds of the epoch."""


def acquire(layout: Layout, who: str) -> None:
    """Acquire the lock for this connection; raise `Refused` while another has it."""
    path = layout.lock
    path.parent.mkdir(parents=True, exist_ok=True)
    pid = connection(layout.root / "proc", os.getpid())
    holder = Holder(who, pid, _began(layout, pid), int(time.time()))
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(to_json(holder))
    try:
        for _ in range(2):
            try:
                # A link, unlike a rename, does not replace what is there.
                path.hardlink_to(beside)
                return
            except FileExistsError:
                _clear(layout, path, pid)
        raise Refused("another deploy took the lock at the same moment; try again")
    finally:
        beside.unlink()


def release(layout: Layout) -> None:
    """Release the lock, if it is this connection's."""
    held = read_message(layout.lock, Holder)
    if held is not None and held.pid == connection(layout.root / "proc", os.getpid()):
        layout.lock.unlink(missing_ok=True)


def _clear(layout: Layout, path: Path, mine: int) -> None:
    """Remove a lock whose connection is gone, or is this one; raise `Refused` otherwise."""
    held = read_message(path, Holder)
    if held is not None and held.pid != mine and _began(layout, held.pid) == held.began:
        since = time.strftime("%H:%M:%S", time.localtime(held.since))
        raise Refused(
            f"{held.who} is deploying here since {since}; wait for it, or if nobody is: "
            f"sudo kill {held.pid}"
        )
    path.unlink(missing_ok=True)


def connection(proc: Path, pid: int) -> int:
    """Return the process of the nearest SSH server above one, or the topmost but init."""
    above = pid
    while above > 1:
        name, fields = _stat(proc, above)
        if name.startswith(SERVERS):
            return above
        pid, above = above, int(fields[1])
    return pid


def _stat(proc: Path, pid: int) -> tuple[str, list[str]]:
    """Return the name of a process and the fields after it (proc(5)), zeros where it is gone."""
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "", ["0"] * 20
    end = text.rindex(")")
    return text[text.index("(") + 1 : end], text[end + 2 :].split()


def _began(layout: Layout, pid: int) -> int:
    """Return when a process began, ticks since the boot; 0: it is gone."""
    return int(_stat(layout.root / "proc", pid)[1][19])
