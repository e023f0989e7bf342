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
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware_files import Done, run
from mosquitto import free_port
from rig.root import program

HERE = Path(__file__).parent
PATIENCE = 120.0
"""Seconds that a boot may take; two suffice where nothing else runs."""

NAME = "edgefer-rig-"
"""What the folders in /run and the control groups of devices are called, with their process."""

WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
ALONE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True)
class Device:
    """A booted system with an SSH server."""

    folder: Path
    """Its key (`key`), `known_hosts`, and `console.log`, what it said while it booted."""

    port: int
    """Of SSH, on 127.0.0.1."""

    files: Path
    """Its root folder."""

    @property
    def key(self) -> Path:
        """The private key that every user accepts."""
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """Knows the device's key under its loopback address and port."""
        return self.folder / "known_hosts"

    @property
    def options(self) -> list[str]:
        """What ssh, scp and rsync's ssh need to get there without a question."""
        wanted = {
            "Port": self.port,
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": 30,
            "LogLevel": "ERROR",
        }
        return ["-F", "none", *(f"-o{name}={value}" for name, value in wanted.items())]

    def ssh(self, command: str, user: str = "root", seconds: float = 120) -> Done:
        """Run a shell command there; nothing is raised for a status other than 0."""
        return run("ssh", *self.options, f"{user}@127.0.0.1", command, seconds=seconds)

    def check(self, command: str, user: str = "root", seconds: float = 120) -> str:
        """Run a shell command that must succeed; return what it printed."""
        done = self.ssh(command, user, seconds)
        assert done.status == 0, f"{command}: {done.status}\n{done.out}{done.err}"
        return done.out

    def state(self, unit: str) -> str:
        """What `systemctl is-active` says of a unit."""
        return self.ssh(f"systemctl is-active {unit}").out.strip()

    def property(self, unit: str, name: str) -> str:
        """One of a unit's properties, as `systemctl show` has it."""
        return self.check(f"systemctl show --value --property={name} {unit}").strip()

    def wait(self, command: str, seconds: float = PATIENCE) -> float:
        """Wait until a command succeeds there; return after how many seconds it did."""
        begun = time.monotonic()
        while self.ssh(command).status != 0:
            assert time.monotonic() - begun < seconds, f"not in {seconds:.0f} s: {command}"
            time.sleep(0.2)
        return time.monotonic() - begun


@contextmanager
def booted(root: Path, layers: Sequence[Path] = (), online: bool = False) -> Iterator[Device]:
    """Boot a root file system with layers over it, the topmost first; end it on leaving."""
    for name in ("systemd-nspawn", "slirp4netns", "ssh"):
        program(name)
    work = Path(f"/run/{NAME}{os.getpid()}-{free_port()}")
    with contextlib.ExitStack() as stack:
        work.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        (work / "system").mkdir()
        cgroup = stack.enter_context(own_cgroup(work.name))
        make_key(work / "key")
        stacked = ":".join(map(str, [*layers, root]))
        boot = ["sh", HERE / "boot.sh", cgroup, work / "system", work / "key.pub", stacked]
        log = stack.enter_context((work / "console.log").open("wb"))
        init = stack.enter_context(tied([*ALONE, *boot], log.fileno()))
        port = free_port()
        stack.enter_context(network(work, f"/proc/{child(init.pid)}/ns/net", port, online))
        host_key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        (work / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
        files = Path(f"/proc/{child(init.pid)}/root{work}/system/root")
        device = Device(work, port, files)
        wait_for_ssh(device, init)
        yield device


def wait_for_ssh(device: Device, init: subprocess.Popen[bytes]) -> None:
    """Return once a login succeeds and systemd has started everything."""
    deadline = time.monotonic() + PATIENCE
    # Status 0 is "running"; 1 also "degraded", which a container is where it lacks a device.
    while device.ssh("systemctl is-system-running --wait").status not in (0, 1):
        console = (device.folder / "console.log").read_text(errors="replace")
        assert init.poll() is None, f"it ended while booting:\n{console[-3000:]}"
        assert time.monotonic() < deadline, f"no SSH in {PATIENCE:.0f} s:\n{console[-3000:]}"
        time.sleep(0.2)


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
            done = run("nsenter", f"--net={namespace}", "ip", "route", "del", "default")
            assert done.status == 0, done.err
        yield
    finally:
        os.close(ready)
        process.kill()
        process.wait()


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


def child(pid: int) -> int:
    """Return the first child of a process, waiting until there is one."""
    for _ in range(500):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError(f"process {pid} started nothing")


def make_key(place: Path) -> None:
    """Write a key pair without a passphrase."""
    done = run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", place)
    assert done.status == 0, done.err
