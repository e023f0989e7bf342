"""A device without hardware: Debian with systemd as its first process, reached over real SSH.

    with booted(Root().built()) as device:        # amd64, trixie; a few seconds
        device.ssh("uname -a").out                # as root; user="pi" has sudo, see root.py
        device.state("edgefer.service")           # "active"
        device.files / "etc/hostname"             # its files, seen from here
        ["ssh", *device.options, "pi@127.0.0.1"]  # or with any client: port, key, known_hosts

It has no network but its SSH port on this machine's loopback; with `online=True` it reaches
the package index as this machine does. `layers=` puts read-only folders over the root. What it
writes is in memory and gone at the end. Processes, mounts, interfaces and the port end with the
process that booted it, a killed one included (all hang on PDEATHSIG and namespaces): boot it from
a thread that lives as long. What needs a broker or files on the way in comes over SSH.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.reach import PATIENCE, Reach, make_key
from rig.root import ALONE, WITH_PARENT, program
from support.firmware_files import run
from support.mosquitto import free_port

HERE = Path(__file__).parent
EXT4_SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2
"""EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h)."""
HOST_KEY = "etc/ssh/ssh_host_ed25519_key.pub"
NAME = "edgefer-rig-"
"""What the folders in /run and the control groups of devices are called, with their process."""


@dataclass(frozen=True)
class Device(Reach):
    """A booted system."""

    files: Path
    """Its root folder."""

    init: subprocess.Popen[bytes]
    """All that runs on it hangs on this process."""

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Take the way out of one that is online for a while; its SSH port stays."""
        namespace = network_of(self.init)
        way = route(namespace, "show", "default").split()
        route(namespace, "del", "default")
        try:
            yield
        finally:
            route(namespace, "add", *way)

    def cut(self) -> None:
        """Take its power away: of a device on a disk, nothing more is written from here on."""
        if self.files.is_dir():
            folder = os.open(self.files, os.O_RDONLY)
            try:
                # Of tests of file systems: it is shut down and its log is not written out.
                fcntl.ioctl(folder, EXT4_SHUTDOWN, struct.pack("I", WITHOUT_LOG))
            finally:
                os.close(folder)
        self.init.kill()
        self.init.wait()


@contextmanager
def booted(
    root: Path, layers: Sequence[Path] = (), online: bool = False, disk: Path | None = None
) -> Iterator[Device]:
    """Boot a root file system with layers over it, the topmost first; end it on leaving.

    With `disk`, an image that image.py made of that root, the device writes to it instead.
    """
    for name in ("systemd-nspawn", "slirp4netns", "ssh"):
        program(name)
    work = Path(f"/run/{NAME}{os.getpid()}-{free_port()}")
    with contextlib.ExitStack() as stack:
        work.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        (work / "system").mkdir()
        cgroup = stack.enter_context(own_cgroup(work.name))
        make_key(work / "key")
        stacked = str(disk) if disk else ":".join(map(str, [*layers, root]))
        if disk:
            stack.callback(wait_until_free, disk)
        boot = ["sh", HERE / "boot.sh", cgroup, work / "system", work / "key.pub", stacked]
        log = stack.enter_context((work / "console.log").open("wb"))
        init = stack.enter_context(tied([*ALONE, "--net", *boot], log.fileno()))
        port = free_port()
        stack.enter_context(network(work, network_of(init), port, online))
        files = Path(f"/proc/{child(init.pid)}/root{work}/system/root")
        device = Device(work, port, files, init)
        device.know((root / HOST_KEY).read_text())
        wait_for_ssh(device, init)
        yield device


def wait_for_ssh(
    device: Reach, process: subprocess.Popen[bytes], seconds: float = PATIENCE
) -> float:
    """Wait until systemd has started everything; return after how many seconds it had."""
    begun = time.monotonic()
    # Status 0 is "running"; 1 also "degraded", which a container is where it lacks a device.
    while device.ssh("systemctl is-system-running --wait", seconds=seconds).status not in (0, 1):
        assert process.poll() is None, f"it ended while booting:\n{device.console}"
        assert time.monotonic() - begun < seconds, f"no SSH in {seconds:.0f} s:\n{device.console}"
        time.sleep(0.2)
    return time.monotonic() - begun


@contextmanager
def tied(command: Sequence[object], output: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that ends with this block, and with this process however it ends."""
    arguments = [*WITH_PARENT, *map(str, command)]
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def cable(device: Reach, port: int, there: int = 22) -> Iterator[subprocess.Popen[bytes]]:
    """Lead a port of this machine to one of the device's, by a process that may be ended."""
    words = ["ssh", *device.options, "-N", "-L", f"{port}:127.0.0.1:{there}", "root@127.0.0.1"]
    with tied(words, subprocess.DEVNULL) as process:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            time.sleep(0.1)
        yield process


@contextmanager
def network(work: Path, namespace: str, port: int, online: bool) -> Iterator[None]:
    """Lead a loopback port to the namespace's SSH, and where wanted the namespace outside."""
    control = work / "slirp"
    ready, told = os.pipe()
    command = [
        *("slirp4netns", "--configure", "--disable-host-loopback", f"--api-socket={control}"),
        *(f"--ready-fd={told}", "--netns-type=path", namespace, "tap0"),
    ]
    arguments = [*WITH_PARENT, *command]
    with (work / "network.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, pass_fds=[told])
    os.close(told)
    try:
        assert os.read(ready, 1) == b"1", (work / "network.log").read_text()
        forward(control, port)
        if not online:
            route(namespace, "del", "default")
        yield
    finally:
        os.close(ready)
        process.kill()
        process.wait()


def network_of(init: subprocess.Popen[bytes]) -> str:
    """The place of a device's network namespace."""
    return f"/proc/{child(init.pid)}/ns/net"


def route(namespace: str, *words: str) -> str:
    """Tell or change the routes of a namespace, which what runs in it may not do itself."""
    done = run("nsenter", f"--net={namespace}", "ip", "route", *words)
    assert done.status == 0, done.err
    return done.out


def forward(control: Path, port: int) -> None:
    """Ask slirp4netns to lead a loopback port to the guest's port 22."""
    wanted = {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": port, "guest_port": 22}
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(control))
        asking.sendall(json.dumps({"execute": "add_hostfwd", "arguments": wanted}).encode())
        asking.shutdown(socket.SHUT_WR)
        answer = json.loads(asking.recv(4096))
    assert "return" in answer, answer


@contextmanager
def own_cgroup(name: str) -> Iterator[Path]:
    """A group of the second version for one container, removed with what is below it."""
    unified = Path("/sys/fs/cgroup")
    if not (unified / "cgroup.procs").exists():
        unified /= "unified"
    sweep(unified)
    group = unified / name
    group.mkdir()
    try:
        yield group
    finally:
        remove(group)


def sweep(unified: Path) -> None:
    """Remove the empty groups and the folders that killed runs left: nothing else stays of them."""
    for group in unified.glob(f"{NAME}*"):
        if not alive(group.name):
            remove(group)
    for work in Path("/run").glob(f"{NAME}*"):
        if not alive(work.name):
            # Another worker may be at the same remains.
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(work)


def alive(name: str) -> bool:
    """Whether the process that booted a device of this name still runs."""
    return Path(f"/proc/{name.removeprefix(NAME).partition('-')[0]}").exists()


def remove(group: Path) -> None:
    """Remove a group and those below it, as soon as their last process is gone."""
    deadline = time.monotonic() + 10
    while group.exists():
        for place, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(place).rmdir()
        assert time.monotonic() < deadline, f"{group} is still in use"
        time.sleep(0.02)


def wait_until_free(disk: Path) -> None:
    """Return once no loop device holds a disk: whoever mounted it twice would destroy it."""
    deadline = time.monotonic() + 60
    while run("losetup", "--associated", disk).out:
        assert time.monotonic() < deadline, f"{disk} is still mounted"
        time.sleep(0.05)


def child(pid: int) -> int:
    """Return the first child of a process, waiting until there is one."""
    for _ in range(500):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError(f"process {pid} started nothing")
