"""Root file systems of Debian, made by mmdebstrap and kept in `.cache/rig`.

Each is a folder that nobody writes to: what runs on one lays a layer of its own over it.
Three users can log in, with the key of whoever boots it: `pi` may do all with sudo, `ana` too
but has to give her password, `guest` may not. All have the password `PASSWORD`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache" / "rig"
PASSWORD = "rig-password"
KEYS = "/etc/ssh/rig_keys"
"""Where the server looks for the keys of all users."""

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "sudo", "openssh-server"),
    *("python3", "python3-venv", "ca-certificates", "rsync", "mosquitto", "mosquitto-clients"),
)
UNREAD = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*/changelog*")
SETUP = rf"""
set -eu
for name in pi ana guest; do
    chroot "$1" useradd --create-home --shell /bin/bash $name
    echo "$name:{PASSWORD}" | chroot "$1" chpasswd
done
chroot "$1" usermod --append --groups sudo ana
echo "pi ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/pi"
printf 'AuthorizedKeysFile {KEYS}\nUseDNS no\n' >"$1/etc/ssh/sshd_config.d/rig.conf"
echo mirror >"$1/etc/hostname"
echo "127.0.0.1 localhost mirror" >"$1/etc/hosts"
# A device has its broker where somebody wants one.
chroot "$1" systemctl disable --quiet mosquitto
"""


@dataclass(frozen=True)
class Root:
    """A root file system: what decides its content."""

    architecture: str = "amd64"
    suite: str = "trixie"
    packages: tuple[str, ...] = PACKAGES

    @property
    def folder(self) -> Path:
        """Where it lies once it is built."""
        wanted = repr((self.suite, self.architecture, self.packages, UNREAD, SETUP))
        key = hashlib.sha256(wanted.encode()).hexdigest()[:12]
        return CACHE / f"{self.suite}-{self.architecture}-{key}"

    def built(self) -> Path:
        """Return its folder, built where it is missing (a minute)."""
        return kept(self.folder, self._build)

    def _build(self, place: Path) -> None:
        command = [
            *(program("mmdebstrap"), "--mode=root", "--variant=minbase", "--format=directory"),
            *(f"--architectures={self.architecture}", f"--include={','.join(self.packages)}"),
            # Its files are worth nothing unless all of them are there.
            *("--dpkgopt=force-unsafe-io", f"--customize-hook={SETUP}"),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNREAD),
            *(self.suite, str(place), mirror()),
        ]
        # The processor of a Raspberry Pi 4: qemu's default one makes emulation five times slower.
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "QEMU_CPU": "cortex-a72"},
        )
        assert done.returncode == 0, done.stderr[-3000:]


def kept(place: Path, build: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; where it is missing, let it be built beside and renamed."""
    if not place.exists():
        with alone():
            if not place.exists():
                beside = place.with_name(f"{place.name}.part")
                shutil.rmtree(beside, ignore_errors=True)
                build(beside)
                beside.rename(place)
    return place


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes from building at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mirror() -> str:
    """The mirror that this machine takes its own packages from."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


def program(name: str) -> str:
    """Return the path of a program of the rig; skip the test where it or root is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is missing: `make debian-for-tests` installs it")
    if os.geteuid() != 0:
        pytest.skip("the rig mounts and boots: it needs root")
    return found
