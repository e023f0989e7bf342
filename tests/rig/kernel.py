"""Debian's kernel and its modules, and busybox: what makes a root file system one to boot from.

Unpacked, not installed: its scripts would build an initrd. It is a layer of its own, kept in
`.cache/rig`, because the containers have no use for it.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from rig.root import CACHE, debootstrap, kept

UNPACK = r"""
set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
image=linux-image-$ARCHITECTURE
kernel=$(apt-cache depends $image | awk '/Depends: linux-image-/ { print $2; exit }')
cd "$1"
apt-get download -qq -o APT::Sandbox::User=root "$kernel"
dpkg-deb -x "$kernel"*.deb kernel
version=${kernel#linux-image-}
mkdir -p "$OUT/usr/lib/modules" "$OUT/boot"
# depmod and modprobe look for lib/modules.
ln -s usr/lib "$OUT/lib"
mv "$(find kernel -path "*/modules/$version" -prune)" "$OUT/usr/lib/modules/"
depmod --basedir "$OUT" "$version"
install -m 644 "kernel/boot/vmlinuz-$version" "$OUT/boot/vmlinuz"
install usr/bin/busybox "$OUT/boot/busybox"
"""


@dataclass(frozen=True)
class Kernel:
    """The kernel of one suite for one processor."""

    architecture: str
    suite: str = "trixie"

    @property
    def folder(self) -> Path:
        """Where it lies once it is unpacked."""
        key = hashlib.sha256(UNPACK.encode()).hexdigest()[:12]
        return CACHE / f"kernel-{self.suite}-{self.architecture}-{key}"

    def built(self) -> Path:
        """Return its folder, unpacked where it is missing."""
        return kept(self.folder, self._build)

    def _build(self, place: Path) -> None:
        beside = place / "unpacked"
        beside.mkdir(parents=True)
        debootstrap(
            *("--variant=extract", f"--architectures={self.architecture}"),
            *("--include=busybox-static", f"--extract-hook={UNPACK}", self.suite, str(beside)),
            OUT=str(place),
            ARCHITECTURE=self.architecture,
        )
        shutil.rmtree(beside)
