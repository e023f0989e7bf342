"""A whole machine for Arm, emulated: kernel, disk, a V4L2 camera, reached over real SSH.

    with powered(Root("arm64").built(), work) as machine:
        machine.check("uname -m")      # "aarch64"; see reach.py
        machine.cut()                  # the power, at this very instant
        machine.start()                # seconds that the boot took

Its seconds are its own, ten to twenty of ours while it works. It has no network but its SSH port on
this machine's loopback. What it has written to its disk is there after a cut: the disk keeps
nothing back (`cache=directsync`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mosquitto import free_port
from rig.container import HOST_KEY, wait_for_ssh
from rig.image import make_disk, make_initrd, write_settings
from rig.reach import Reach, make_key
from rig.root import WITH_PARENT, program

PATIENCE = 2700.0
"""Seconds that a boot may take; two hundred suffice where nothing else runs."""

# A Raspberry Pi 4's processor. The emulator, not the processor's own way to run guests: that does
# not run Arm's programs.
BOARD = ("-M", "virt,gic-version=2", "-cpu", "cortex-a72", "-accel", "tcg,thread=single")
# Its time is counted in instructions, one a nanosecond: however little of this machine the emulator
# gets, no limit in it is met for that (systemd's, the watchdog's, the health checks').
CLOCK = ("-icount", "shift=0")
SHAPE = ("-smp", "1", "-m", "2G", "-nographic", "-monitor", "none")
KERNEL = "console=ttyAMA0 rw loglevel=4 mitigations=off"


@dataclass(frozen=True)
class Machine(Reach):
    """An emulated machine, and its switch."""

    root: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> float:
        """Switch it on; return after how many seconds everything was started."""
        with (self.folder / "console.log").open("ab") as log:
            process = subprocess.Popen(
                [*WITH_PARENT, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append(process)
        return wait_for_ssh(self, process, PATIENCE)

    def cut(self) -> None:
        """Take its power away."""
        while self.running:
            process = self.running.pop()
            process.kill()
            process.wait()

    def reboot(self) -> float:
        """Let it start anew by itself; return after how many seconds it had."""
        boot = "/proc/sys/kernel/random/boot_id"
        before = self.check(f"cat {boot}").strip()
        self.ssh("systemctl reboot")
        return self.wait(
            f"[ $(cat {boot}) != {before} ] && systemctl is-system-running --wait "
            "| grep -qE 'running|degraded'",
            PATIENCE,
        )

    def _command(self) -> list[str]:
        forward = f"hostfwd=tcp:127.0.0.1:{self.port}-:22"
        return [
            *(program("qemu-system-aarch64"), *BOARD, *CLOCK, *SHAPE),
            *("-kernel", str(self.root / "boot/vmlinuz")),
            *("-initrd", str(self.folder / "initrd.img"), "-append", KERNEL),
            *("-drive", f"if=none,id=disk,format=raw,cache=directsync,file={self.folder}/disk.img"),
            *("-device", "virtio-blk-device,drive=disk"),
            *("-netdev", f"user,id=net,restrict=on,{forward}"),
            *("-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"),
        ]


@contextmanager
def powered(root: Path, work: Path, layers: Sequence[Path] = ()) -> Iterator[Machine]:
    """Make a machine in an empty folder and start it; switch it off on leaving."""
    make_key(work / "key")
    make_disk(root, [write_settings(work / "settings", work / "key"), *layers], work)
    make_initrd(root, work)
    machine = Machine(work, free_port(), root)
    machine.know((root / HOST_KEY).read_text())
    try:
        machine.start()
        yield machine
    finally:
        machine.cut()
