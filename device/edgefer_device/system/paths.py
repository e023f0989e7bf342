"""Where the daemon keeps what must outlive it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgefer.errors import SettingsError, StateError
from edgefer.files import home_folder

SYSTEM = Path("/var/lib/edgefer")
"""What systemd makes of `StateDirectory=edgefer`."""


def user_path(text: str) -> Path:
    """Return a path that a user wrote, `~` and `~user` expanded where there is such a home."""
    path = Path(text)
    if text.startswith("~"):  # pathlib takes ./~ for ~
        with contextlib.suppress(RuntimeError):
            return path.expanduser()
    return path


def written_path(text: str) -> Path:
    """Return the path of what is written; raise `SettingsError` for a home that is not there.

    A folder called `~somebody` would be made in the working directory.
    """
    path = user_path(text)
    if text.startswith("~") and path == Path(text) and not Path(path.parts[0]).exists():
        raise SettingsError(f"{text}: no such home folder; write the whole path, or ./ before it")
    return path


def state_folder(chosen: str | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder: the chosen one, else systemd's, else the user's own (XDG).

    It is not made here. The user's own is `$XDG_STATE_HOME/edgefer`, by default
    `~/.local/state/edgefer` (XDG Base Directory Specification 0.8).
    """
    if chosen is not None:
        return written_path(chosen)
    given = environment.get("STATE_DIRECTORY")
    if given:
        # systemd joins several with colons; the unit names one.
        return Path(given.partition(":")[0])
    home = environment.get("XDG_STATE_HOME")
    return Path(home or home_folder("state in the configuration") / ".local" / "state") / "edgefer"


IN_MEMORY = r"\b(overlayroot=|boot=overlay|systemd\.volatile=overlay)"
"""Of the kernel's command line: overlayroot(8), raspi-config, kernel-command-line(7)."""


def is_volatile(folder: Path, proc: Path = Path("/proc")) -> bool:
    """Whether what a folder holds is gone after a power cut: a tmpfs, or an overlay in memory.

    Read-only roots write to an overlay whose upper folder lies in a tmpfs, or is hidden since the
    boot: the kernel's command line (`IN_MEMORY`) tells then.
    """
    try:
        kernel = (proc / "cmdline").read_text()
        lines = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        return False
    mounts: dict[Path, tuple[str, str]] = {}
    for line in lines:
        before, _, after = line.partition(" - ")  # proc(5)
        kind, _, options = after.split(" ", 2)
        mounts[Path(before.split(" ")[4])] = (kind, options)

    def in_memory(place: Path) -> bool:
        at = next((one for one in (place, *place.parents) if one in mounts), Path("/"))
        kind, options = mounts.get(at, ("", ""))
        upper = re.search(r"upperdir=([^,]+)", options)
        if kind != "overlay" or upper is None:
            return kind in ("tmpfs", "ramfs")
        above = Path(upper[1])
        hidden = next((one for one in above.parents if one in mounts), at) == at
        return bool(re.search(IN_MEMORY, kernel)) if hidden else in_memory(above)

    return in_memory(folder.resolve())


def volatility(folder: Path) -> str | None:
    """Return what a state folder in memory means, in words; None for one on a disk."""
    if not is_volatile(folder):
        return None
    kept = "a pause, the history and a calibration"
    return f"{folder} is in memory: {kept} will not outlive a power cut; mount a disk there"


@contextlib.contextmanager
def lock_state(folder: Path) -> Iterator[None]:
    """Hold a state folder for one daemon; raise `StateError` while another holds it.

    The kernel lets go of it (flock(2)) however the process ends. A folder that cannot be made
    or locked is shared with nobody: the daemon goes on without.
    """
    import fcntl  # not on Windows, from where devices are deployed to

    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"{folder}: another edgefer run uses this state folder (edgefer status shows it); "
                "end it, or set another one as state"
            ) from None
        except (FileExistsError, NotADirectoryError):
            raise StateError(f"{folder}: is no folder; set another one as state") from None
        except OSError:
            pass
        yield


def machine_id() -> str:
    """Return what tells this machine from others: systemd's machine-id(5) and the host's name.

    A secret by its manual: hash it before it leaves the machine.
    """
    try:
        known = Path("/etc/machine-id").read_text().strip()
    except OSError:
        known = ""
    return f"{known} {socket.gethostname()}"
