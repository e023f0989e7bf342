"""An arm64 Python with a device's own wheels, run by qemu-user, and its instructions counted.

Nothing of it is installed: Debian's arm64 packages and the wheels are unpacked into
`.cache/arm`, and `qemu-aarch64 -L` shows them to the program in place of this machine's. So is
an Arm `/proc/cpuinfo`, without which LiteRT's library for telling processors apart ends the
process. No root is needed but for installing `qemu-user` itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/arm"
SUITE = "bookworm"
PYTHON = "3.11"
"""Raspberry Pi OS Bookworm's."""
LIBRARIES = (
    "c6",
    "gcc-s1",
    "stdc++6",
    "expat1",
    "ffi8",
    "bz2-1.0",
    "lzma5",
    "ssl3",
    "crypt1",
    "uuid1",
)
PACKAGES = [
    *(f"lib{name}" for name in LIBRARIES),
    *(
        "zlib1g",
        f"python{PYTHON}-minimal",
        f"libpython{PYTHON}-minimal",
        f"libpython{PYTHON}-stdlib",
    ),
]
WHEELS = ("ai-edge-litert", "numpy", "opencv-python-headless", "msgspec", "typing-extensions")
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
QEMU = "7.2"
"""Whose plugins `count.c` is written for; later ones have another interface."""


@dataclass(frozen=True)
class Core:
    """A processor core that is emulated, and what its kernel says of it."""

    board: str
    part: str
    """ARM's number in `CPU part`."""
    features: str

    @property
    def cpuinfo(self) -> str:
        """The kernel's words."""
        return (
            f"processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: {self.part}\nCPU revision\t: 3\n\n"
        )


CORES = {
    "cortex-a72": Core("Raspberry Pi 4", "0xd08", "fp asimd evtstrm crc32 cpuid"),
    "cortex-a76": Core(
        "Raspberry Pi 5",
        "0xd0b",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
        "dcpop asimddp",
    ),
}
"""By QEMU's name: the first has no dot products of bytes, the second has."""


def run(
    command: Sequence[str | Path],
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program; end with its last words where it fails."""
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        sys.exit(f"bench-arm: {Path(command[0]).name}: {last}")
    return done


def require_qemu() -> None:
    """End in one line unless the emulator is there that the plugin is for."""
    found = shutil.which("qemu-aarch64")
    if found is None:
        sys.exit("bench-arm: needs qemu-aarch64 (dynamic); run: sudo apt-get install qemu-user")
    said = run([found, "--version"]).stdout.split()
    if not said[2].startswith(f"{QEMU}."):
        sys.exit(f"bench-arm: counts with qemu {QEMU}, Debian 12's; this is {said[2]}")


def build() -> None:
    """Fill the cache: what is there already, for the same packages and wheels, stays."""
    pins = [_pin(name) for name in WHEELS]
    key = json.dumps([PACKAGES, pins, (ROOT / "device/assets.txt").read_text()])
    stamp = CACHE / "built"
    if not (stamp.is_file() and stamp.read_text() == key):
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        _unpack_packages()
        _unpack_wheels(pins)
        stamp.write_text(key)
    plugin = CACHE / "count.so"
    run(["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", plugin, HERE / "count.c"])


def _pin(name: str) -> str:
    """Return a wheel as constraints.txt pins it for the emulated Python."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin, _, when = line.partition(" ; ")
        if pin.startswith(f"{name}==") and (not when or f"'{PYTHON}.*'" in when):
            return pin
    sys.exit(f"bench-arm: constraints.txt pins no {name} for Python {PYTHON}")


def _unpack_packages() -> None:
    """Fetch Debian's packages from this machine's own mirror and unpack them."""
    apt, debs = CACHE / "apt", CACHE / "debs"
    for folder in (apt / "lists/partial", apt / "cache/archives/partial", debs):
        folder.mkdir(parents=True)
    sites = run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"])
    (apt / "list").write_text(f"deb [arch=arm64] {sites.stdout.split()[0]} {SUITE} main\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::Etc::SourceList": apt / "list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    run(["apt-get", *options, "-qq", "update"])
    run(["apt-get", *options, "-qq", "download", *PACKAGES], cwd=debs)
    for package in debs.glob("*.deb"):
        run(["dpkg-deb", "-x", package, CACHE / "root"])


def _unpack_wheels(pins: Sequence[str]) -> None:
    where = ["--target", str(CACHE / "site"), "--no-deps", "--only-binary", ":all:"]
    platforms = [word for name in PLATFORMS for word in ("--platform", f"{name}_aarch64")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--python-version", PYTHON]
    run([*pip, *where, *platforms, *pins, "--requirement", str(ROOT / "device/assets.txt")])


def count(cpu: str, bundle: str, peer: Path | None = None) -> dict[str, float]:
    """Return the instructions on an emulated core, by what took them; `build` comes before."""
    root, counts = CACHE / "root", CACHE / "counts"
    for name in ("possible", "present", "online"):
        path = root / "sys/devices/system/cpu" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0\n")
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text(CORES[cpu].cpuinfo)
    portrait = CACHE / "site/skimage/data/astronaut.png"
    program = [
        str(one) for one in (root / "usr/bin/python3.11", HERE / "guest.py", bundle, portrait)
    ]
    code = [str(ROOT / folder) for folder in ("edge", "device")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": ":".join([str(CACHE / "site"), *code]),
        # One thread, and every set in the same order: what is counted is to be counted again.
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPYCACHEPREFIX": str(CACHE / "pycache"),
    }
    plugin = f"{CACHE / 'count.so'},out={counts}"
    emulator = ["qemu-aarch64", "-L", str(root), "-cpu", cpu, "-plugin", plugin]
    done = run([*emulator, *program, *([str(peer)] if peer else [])], environment=environment)
    return told(json.loads(done.stdout), counts.read_text())


def told(marks: Sequence[str], counts: str) -> dict[str, float]:
    """Return instructions a call, by name, from marks and the lines `number count` of the plugin.

    A call lies between its mark and the one before. Of calls that are alike it is their median;
    of frames, which are not, their mean.
    """
    lines = (line.split() for line in counts.splitlines())
    at = {int(number): int(count) for number, count in lines}
    calls: dict[str, list[int]] = {}
    for number, what in enumerate(marks):
        if what:
            calls.setdefault(what, []).append(at[number] - at[number - 1])
    return {what: (mean if what == "frame" else median)(taken) for what, taken in calls.items()}
