"""What a whole machine starts from: a disk with a root file system, and its first programs."""

from __future__ import annotations

import lzma
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from rig.root import KEYS, program

SIZE = "6G"
"""Of the disk; what is not written takes no room here."""
MODULES = ("virtio_mmio", "virtio_pci", "virtio_blk", "ext4")
"""What Debian's kernel has no disk and no root without."""

NETWORKD = "systemd-networkd.service"
NETWORK = """[Match]
Name=en* eth*

[Network]
Address=10.0.2.15/24
"""
# A camera of the kernel's own, that the daemon can open like any other; one device, no sound.
CAMERA = {"modules-load.d/rig.conf": "vivid\n", "modprobe.d/rig.conf": "options vivid n_devs=1\n"}
# What a first boot would make of itself, for minutes in emulation, and what would look after it.
SETTLED = {"etc/machine-id": f"{uuid.uuid4().hex}\n", "etc/.updated": "", "var/.updated": ""}
IDLE = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer")
UNITS = "etc/systemd/system"
MERGE = """
set -eu
layers=$1 image=$2 work=$3 size=$4
mount --make-rprivate /
mount -t tmpfs rig "$work"
mkdir "$work/scratch" "$work/upper" "$work/root"
cd "$work"
mount -t overlay -o "lowerdir=$layers,upperdir=upper,workdir=scratch" rig root
mke2fs -q -t ext4 -d root "$image" "$size"
"""
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod /$module; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""


def make_disk(root: Path, layers: Sequence[Path], work: Path) -> Path:
    """Write a disk with a root file system and layers over it, the topmost first."""
    image, mounted = work / "disk.img", work / "mounted"
    mounted.mkdir()
    program("mke2fs")
    stacked = ":".join(map(str, [*layers, root]))
    script = ["sh", "-c", MERGE, "merge", stacked, image, mounted, SIZE]
    subprocess.run(["unshare", "--mount", *map(str, script)], check=True)
    return image


def write_settings(layer: Path, key: Path) -> Path:
    """Write the layer that makes a root file system a machine's own; return it."""
    for place, text in settings(key).items():
        (layer / place).parent.mkdir(parents=True, exist_ok=True)
        (layer / place).write_text(text)
    wanted = layer / UNITS / "multi-user.target.wants"
    wanted.mkdir(parents=True)
    (wanted / NETWORKD).symlink_to(f"/usr/lib/systemd/system/{NETWORKD}")
    for timer in IDLE:
        (layer / UNITS / timer).symlink_to("/dev/null")
    return layer


def settings(key: Path) -> dict[str, str]:
    """Return the files of that layer, by their places."""
    return {
        KEYS.lstrip("/"): key.with_suffix(".pub").read_text(),
        "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
        "etc/systemd/network/10-rig.network": NETWORK,
        **{f"etc/{place}": text for place, text in CAMERA.items()},
        **SETTLED,
    }


def make_initrd(kernel: Path, work: Path) -> Path:
    """Write what a kernel starts first: busybox, and the modules up to the disk."""
    tree = work / "initrd"
    for name in ("bin", "dev", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(kernel / "boot/busybox", tree / "bin/busybox")
    modules = needed(kernel)
    for module in modules:
        # Debian packs them, and busybox does not unpack.
        (tree / module.stem).write_bytes(lzma.decompress(module.read_bytes()))
    (tree / "modules").write_text("\n".join(module.stem for module in modules))
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    archive = work / "initrd.img"
    pack = f"find . | {program('cpio')} --quiet -o -H newc >{archive}"
    subprocess.run(pack, shell=True, cwd=tree, check=True)
    return archive


def needed(kernel: Path) -> list[Path]:
    """Return a kernel's modules, each after those that it needs."""
    (version,) = (kernel / "usr/lib/modules").iterdir()
    found: list[Path] = []
    for name in MODULES:
        command = [program("modprobe"), "-d", str(kernel), "-S", version.name]
        command += ["--show-depends", name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        paths = [line.split()[1] for line in said.splitlines() if line.startswith("insmod")]
        found += [Path(path) for path in paths if Path(path) not in found]
    return found
