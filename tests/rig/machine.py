"""A whole machine: kernel, disk, a V4L2 camera, reached over real SSH.

    with powered("arm64", work) as machine:
        machine.check("uname -m")      # "aarch64"; see reach.py
        machine.cut()                  # the power, at this very instant
        machine.start()                # seconds that the boot took

One for Arm is emulated, and its seconds are its own: while it works, each is several of ours. One
for x86-64 runs on this machine's processor, and wants /dev/kvm. Neither has a network but its SSH
port on this machine's loopback, unless it has a screen. What it has written to its disk is there
after a cut: the disk keeps nothing back (`cache=directsync`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import pytest

from rig.container import HOST_KEY, wait_for_ssh
from rig.image import make_disk, make_initrd, write_settings
from rig.kernel import Kernel
from rig.reach import Reach, make_key
from rig.root import WITH_PARENT, Root, kept, program
from support.mosquitto import free_port

PATIENCE = 2700.0
"""Seconds that a boot may take; two hundred suffice where nothing else runs."""

SCREEN = "virtio-gpu-pci,xres=1280,yres=720"
KNOWN = "host_key.pub"
"""The key by which its SSH server is known."""
MONITOR = "monitor"
"""The socket of the emulator, in a machine's folder."""
SHAPE = ("-smp", "1", "-m", "2G", "-nographic", "-monitor", "none")
KVM = Path("/dev/kvm")
BY_PROCESSOR = (Path("/sys/module/kvm_intel"), Path("/sys/module/kvm_amd"))
"""Some virtual machines have /dev/kvm without either, by `kvm_pvm`. It interprets a kernel that was
not made for it: Debian's ends in an internal error while it unpacks itself."""


@dataclass(frozen=True)
class Board:
    """What differs from one processor to another."""

    emulator: str
    processor: tuple[str, ...]
    """It, what runs it, and its clock, as words for the emulator."""

    bus: str
    """Of its devices, as the emulator's names of them end."""

    console: str


BOARDS = {
    # A Raspberry Pi 4's processor. Its time is counted in instructions, one every four
    # nanoseconds: however little of this machine the emulator gets, no limit in it is met for that
    # (systemd's, the watchdog's, the health checks').
    "arm64": Board(
        "qemu-system-aarch64",
        (
            *("-M", "virt,gic-version=2", "-cpu", "cortex-a72"),
            *("-accel", "tcg,thread=single", "-icount", "shift=2"),
        ),
        "device",
        "ttyAMA0",
    ),
    "amd64": Board(
        "qemu-system-x86_64", ("-M", "q35", "-cpu", "host", "-accel", "kvm"), "pci", "ttyS0"
    ),
}


@dataclass(frozen=True)
class Machine(Reach):
    """A machine, and its switch."""

    architecture: str
    """Debian's name of its processor."""

    screen: bool = False
    """Whether it has a graphics card with a screen, and a way out to fetch what draws on it."""

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

    def picture(self) -> bytes:
        """Return what is on its screen, as PNG."""
        place = self.folder / "screen.png"
        with socket.socket(socket.AF_UNIX) as asking, asking.makefile("rw") as monitor:
            asking.connect(str(self.folder / MONITOR))
            assert "QMP" in json.loads(monitor.readline())
            wanted = {"filename": str(place), "format": "png"}
            tell(monitor, "qmp_capabilities", {})
            tell(monitor, "screendump", wanted)
        return place.read_bytes()

    def _command(self) -> list[str]:
        board = BOARDS[self.architecture]
        kernel = Kernel(self.architecture).built()
        forward = f"restrict={'off' if self.screen else 'on'},hostfwd=tcp:127.0.0.1:{self.port}-:22"
        monitor = ("-qmp", f"unix:{self.folder}/{MONITOR},server=on,wait=off")
        return [
            *(program(board.emulator), *board.processor, *SHAPE),
            *("-kernel", str(kernel / "boot/vmlinuz"), "-initrd", str(self.folder / "initrd.img")),
            *("-append", f"console={board.console} rw loglevel=4 mitigations=off"),
            *("-drive", f"if=none,id=disk,format=raw,cache=directsync,file={self.folder}/disk.img"),
            *("-device", f"virtio-blk-{board.bus},drive=disk"),
            *("-netdev", f"user,id=net,{forward}"),
            *("-device", f"virtio-net-{board.bus},netdev=net"),
            *("-device", f"virtio-rng-{board.bus}"),
            *(("-device", SCREEN, *monitor) if self.screen else ()),
        ]


def tell(monitor: TextIO, command: str, arguments: dict[str, str]) -> None:
    """Have the emulator do something, by its machine protocol; events between are passed over."""
    monitor.write(json.dumps({"execute": command, "arguments": arguments}))
    monitor.flush()
    while "event" in (answer := json.loads(monitor.readline())):
        pass
    assert "return" in answer, answer


@contextmanager
def powered(architecture: str, work: Path, screen: bool = False) -> Iterator[Machine]:
    """Make a machine in a new folder and start it; switch it off on leaving.

    Where the folder is there, the machine in it is as it was when it lost its power. Skips the test
    where this machine has not what it takes.
    """
    if "kvm" in BOARDS[architecture].processor:
        require_kvm()
    root, kernel = Root(architecture).built(), Kernel(architecture).built()
    kept(work, lambda place: make_machine(root, kernel, place))
    machine = Machine(work, free_port(), architecture, screen)
    machine.know((work / KNOWN).read_text())
    try:
        machine.start()
        yield machine
    finally:
        machine.cut()


def make_machine(root: Path, kernel: Path, work: Path) -> None:
    """Write its key, its disk, and what its kernel starts first into a new folder."""
    work.mkdir(parents=True)
    make_key(work / "key")
    # One that is kept goes on after its root was built anew, with other keys.
    shutil.copy(root / HOST_KEY, work / KNOWN)
    make_disk(root, [write_settings(work / "settings", work / "key"), kernel], work)
    make_initrd(kernel, work)


def require_kvm() -> None:
    """Skip the test where this machine's processor runs no other machine."""
    try:
        os.close(os.open(KVM, os.O_RDWR))
    except OSError as exc:
        pytest.skip(f"a machine for x86-64 needs {KVM}: {exc.strerror}")
    if not any(module.exists() for module in BY_PROCESSOR):
        pytest.skip(f"{KVM} is not the processor's own: it interprets Debian's kernel, and fails")
