"""Root file systems of Debian, made by mmdebstrap and kept in `.cache/rig`.

Each is a folder that nobody writes to: what runs on one lays a layer of its own over it.
Three users can log in, with the key of whoever boots it: `pi` may do all with sudo, `ana` too
but has to give her password, `guest` may not. All have the password `PASSWORD`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgefer_device.deploy.targets import GSTREAMER
from support.cache import ROOT, locked

CACHE = ROOT / ".cache" / "rig"
PASSWORD = "rig-password"
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

KEYS = "/etc/ssh/rig_keys"
"""Where the server looks for the keys of all users."""

PACKAGES = (
    *GSTREAMER,
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
"""
# What the packages' scripts made on this machine's processor (users, keys, links, units that are
# enabled) is the same for another: it is taken over, where in emulation it would take an hour.
ADOPT = r"""
set -eu
cd "$TWIN"
work=$(mktemp -d)
sed 's|^/||' var/lib/dpkg/info/*.list | sort -u >"$work/owned"
find . -mindepth 1 ! -type d -printf '%P\n' | sort | comm -23 - "$work/owned" >"$work/made"
find . -mindepth 1 -type d -printf '%P\n' >>"$work/made"
own='usr/lib/x86_64|usr/lib64|etc/ld.so.cache|var/cache/ldconfig|dev|proc|sys'
grep -vE "^($own)(/|-|\$)" "$work/made" \
    | tar -c --no-recursion --files-from=- | tar -x --directory "$1"
rm -r "$work"
cd "$1/var/lib/dpkg"
sed -i 's/^Architecture: amd64$/Architecture: arm64/' status
for file in info/*:amd64.*; do mv "$file" "${file%:amd64.*}:arm64.${file##*:amd64.}"; done
"""


@dataclass(frozen=True)
class Root:
    """A root file system: what decides its content."""

    architecture: str = "amd64"
    suite: str = "trixie"
    packages: tuple[str, ...] = PACKAGES

    @property
    def hooks(self) -> tuple[str, ...]:
        """The shell scripts that complete it."""
        return (SETUP,) if self.is_native else (ADOPT,)

    @property
    def is_native(self) -> bool:
        """Whether this machine runs its programs."""
        return self.architecture == "amd64"

    @property
    def twin(self) -> Root:
        """The same for this machine's processor."""
        return replace(self, architecture="amd64")

    @property
    def folder(self) -> Path:
        """Where it lies once it is built."""
        base = None if self.is_native else self.twin.folder.name
        wanted = repr((self.suite, base, self.packages, UNREAD, self.hooks))
        key = hashlib.sha256(wanted.encode()).hexdigest()[:12]
        return CACHE / f"{self.suite}-{self.architecture}-{key}"

    def built(self) -> Path:
        """Return its folder, built where it is missing (a minute each)."""
        if not self.is_native:
            self.twin.built()
        return kept(self.folder, self._build)

    def _build(self, place: Path) -> None:
        variant, stage, packages = "minbase", "customize", self.packages
        if not self.is_native:
            variant, stage, packages = "extract", "extract", installed(self.twin.folder)
        debootstrap(
            *(f"--variant={variant}", f"--architectures={self.architecture}"),
            f"--include={','.join(packages)}",
            *(f"--{stage}-hook={hook}" for hook in self.hooks),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNREAD),
            *(self.suite, str(place)),
            TWIN=str(self.twin.folder),
        )


def debootstrap(*words: str, **environment: str) -> None:
    """Unpack packages of this machine's mirror; the hooks among the words see the environment."""
    command = [
        # It ends with this process, and so does what it mounted.
        *(*WITH_PARENT, *ALONE, program("mmdebstrap"), "--mode=root", "--format=directory"),
        # Its files are worth nothing unless all of them are there.
        *("--dpkgopt=force-unsafe-io", *words, mirror()),
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr[-3000:]


def installed(root: Path) -> tuple[str, ...]:
    """Return the names of a root file system's packages."""
    admin = f"--admindir={root}/var/lib/dpkg"
    command = ["dpkg-query", admin, "--show", "--showformat=${Package}\n"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(said.split())


def kept(place: Path, build: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; where it is missing, let it be built beside and renamed."""
    if not place.exists():
        with locked("rig"):
            if not place.exists():
                beside = place.with_name(f"{place.name}.part")
                shutil.rmtree(beside, ignore_errors=True)
                build(beside)
                beside.rename(place)
    return place


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
