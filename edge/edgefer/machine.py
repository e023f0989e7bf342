"""The machine that a measurement was taken on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import msgspec

CPUINFO = Path("/proc/cpuinfo")
MODELS = ("proc/device-tree/model", "sys/class/dmi/id/product_name")
"""Files with a board's name: an Arm board's device tree, a PC's firmware."""
GOVERNORS = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
FEATURES = (
    *("avx2", "f16c", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "sve", "sve2", "bf16"),
)
"""CPU features that neural-network kernels are chosen by, as Linux names them."""
PACKAGES = ("edgefer", "ai-edge-litert", "tflite-runtime", "onnxruntime", "numpy")
OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python")


class Machine(msgspec.Struct, frozen=True):
    """Hardware and software that decide how fast something runs."""

    board: str
    """Model name; `unknown` where the system has none."""
    processor: str
    cores: int
    kernel: str
    features: tuple[str, ...]
    """Those of `FEATURES` that the processor has."""
    governor: str
    """Of the CPU frequency; `none` where Linux has none."""
    memory_mb: int
    """Million bytes."""
    versions: dict[str, str]
    """Of Python and of the packages that are installed, by name."""


def machine() -> str:
    """Return processor, cores and system: `AMD EPYC, 2 cores, Linux x86_64`."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def describe_machine(root: Path = Path("/")) -> Machine:
    """Read the machine's description; `root` holds `proc` and `sys`."""
    cpuinfo = _text(root / "proc/cpuinfo")
    words = set(cpuinfo.split())
    governors = sorted({_text(path) for path in root.glob(GOVERNORS)} - {""})
    return Machine(
        board=next(filter(None, (_text(root / path) for path in MODELS)), "unknown"),
        processor=_processor(cpuinfo),
        cores=os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        features=tuple(name for name in FEATURES if name in words),
        governor=", ".join(governors) or "none",
        memory_mb=_memory(_text(root / "proc/meminfo")),
        versions={"python": platform.python_version(), **_versions([*PACKAGES, *OPENCV])},
    )


def _processor(cpuinfo: str | None = None) -> str:
    lines = (_text(CPUINFO) if cpuinfo is None else cpuinfo).splitlines()
    names = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    return next(names, "unknown processor")


def _memory(meminfo: str) -> int:
    words = meminfo.partition("MemTotal:")[2].split()
    return int(words[0]) * 1024 // 10**6 if words else 0


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _text(path: Path) -> str:
    try:
        # A device tree ends its texts with a NUL.
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""
