"""Single programs for Arm, run by qemu on a root file system for Arm.

    with inside(Root("arm64").built(), [layer], work) as run_there:
        run_there("python3", "-c", "import platform; print(platform.machine())").out   # aarch64

They have this machine's kernel, and its network. What they write is in memory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rig.root import ALONE, WITH_PARENT, program
from support.firmware_files import Done

CPUINFO = """processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
"""Of a Raspberry Pi 4's core. LiteRT crashes on Arm where it reads of another processor's."""

ENTER = """
set -eu
layers=$1 work=$2 cpuinfo=$3
shift 3
mount --make-rprivate /
mount -t tmpfs rig "$work"
mkdir "$work/upper" "$work/scratch" "$work/root"
cd "$work"
mount -t overlay -o "lowerdir=$layers,upperdir=upper,workdir=scratch" rig root
mount -t proc proc root/proc
mount --bind "$cpuinfo" root/proc/cpuinfo
mount --rbind /dev root/dev
mkdir -p root/sys/devices/system/cpu/cpu0
for list in possible present online; do echo 0 >"root/sys/devices/system/cpu/$list"; done
exec nice -n 10 chroot root "$@"
"""
PROCESSOR = {"QEMU_CPU": "cortex-a72"}
"""A Raspberry Pi 4's: qemu's default one is five times slower."""
BINFMT = Path("/proc/sys/fs/binfmt_misc")
EMULATOR = "qemu-aarch64"

RunThere = Callable[..., Done]


@contextmanager
def inside(root: Path, layers: Sequence[Path], work: Path) -> Iterator[RunThere]:
    """Yield what runs a program of a root file system with layers over it, the topmost first."""
    emulate()
    for name in ("unshare", "chroot"):
        program(name)
    mounted, cpuinfo = work / "mounted", work / "cpuinfo"
    mounted.mkdir()
    cpuinfo.write_text(CPUINFO)
    stacked = ":".join(map(str, [*layers, root]))

    def run_there(*command: str, seconds: float = 600) -> Done:
        enter = ["sh", "-c", ENTER, "enter", stacked, str(mounted), str(cpuinfo)]
        done = subprocess.run(
            [*WITH_PARENT, *ALONE, *enter, *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **PROCESSOR},
            start_new_session=True,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    yield run_there


def emulate() -> None:
    """Let this machine run programs for Arm, where it was not set up to.

    Debian's qemu-user-static leaves that to systemd, which not every machine runs.
    """
    program(f"{EMULATOR}-static")
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    if not (BINFMT / EMULATOR).exists():
        rule = Path(f"/usr/lib/binfmt.d/{EMULATOR}.conf").read_text()
        (BINFMT / "register").write_text(rule)
