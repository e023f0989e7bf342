"""The lock of a deployment, which spans many commands over one connection.

It names the process of the SSH server that serves that connection, and counts as long as that
lives: whoever is cut off leaves nothing behind that somebody would have to clear away. It lies
in /run, which a restart empties.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from .durable import read_json
from .layout import Layout, Refused

SERVERS = ("sshd", "dropbear")
"""How the programs begin that serve a connection; OpenSSH 9.8's is `sshd-session`."""


def acquire(layout: Layout, who: str) -> None:
    """Take the lock for this connection; raise `Refused` while another has it."""
    path = _path(layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    pid = connection(layout.root / "proc", os.getpid())
    note = {"who": who, "pid": pid, "began": _began(layout, pid), "since": int(time.time())}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(note))
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
    """Give the lock back, if it is this connection's."""
    held = read_json(_path(layout))
    if held is not None and held["pid"] == connection(layout.root / "proc", os.getpid()):
        _path(layout).unlink(missing_ok=True)


def _clear(layout: Layout, path: Path, mine: int) -> None:
    """Remove a lock whose connection is gone, or is this one; raise `Refused` otherwise."""
    held = read_json(path)
    if held is not None and held["pid"] != mine and _began(layout, held["pid"]) == held["began"]:
        since = time.strftime("%H:%M:%S", time.localtime(held["since"]))
        raise Refused(
            f"{held['who']} is deploying here since {since}; wait for it, or if nobody is: "
            f"sudo kill {held['pid']}"
        )
    path.unlink(missing_ok=True)


def connection(proc: Path, pid: int) -> int:
    """Return the process of the nearest SSH server above one, or the topmost but init."""
    above = pid
    while above > 1:
        name, parent = _stat(proc, above)
        if name.startswith(SERVERS):
            return above
        pid, above = above, parent
    return pid


def _stat(proc: Path, pid: int) -> tuple[str, int]:
    """Return the name and the parent of a process (proc(5))."""
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        return "", 0
    name = text[text.index("(") + 1 : text.rindex(")")]
    return name, int(text[text.rindex(")") + 2 :].split()[1])


def _began(layout: Layout, pid: int) -> int:
    """Return when a process began, ticks since the boot: numbers are used again. 0: it is gone."""
    try:
        text = (layout.root / "proc" / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return int(text[text.rindex(")") + 2 :].split()[19])


def _path(layout: Layout) -> Path:
    return layout.root / "run" / "edgefer-deploy.lock"
