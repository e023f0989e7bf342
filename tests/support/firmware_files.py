"""What the tests of `firmware-config/` share: its files, and the system's tools that read them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware-config"
UNITS = Path("/lib/systemd/system")
PREFIXES = "-@:+!"
"""What may stand before a unit's program (systemd.service(5))."""


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    status: int
    out: str
    err: str


def run(*command: str | Path, seconds: float = 60) -> Done:
    """Run a program to its end; nothing is raised for a status other than 0."""
    done = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, timeout=seconds
    )
    return Done(done.returncode, done.stdout, done.stderr)


def tool(name: str, package: str) -> str:
    """Return the path of a system's program; skip the test where its package is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


class System:
    """A root folder with systemd's own units, for the tools that take one (`--root`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units = root / "etc" / "systemd" / "system"
        self.units.mkdir(parents=True)
        (root / "usr" / "lib" / "systemd").mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        if not UNITS.is_dir():
            pytest.skip(f"{UNITS} is missing: apt-get install systemd")
        # Type=notify and the targets are looked up there; 250 small files.
        shutil.copytree(UNITS, root / "usr" / "lib" / "systemd" / "system", symlinks=True)

    def add(self, unit: Path) -> Path:
        """Put a unit, or a drop-in in its `.d` folder, where systemd looks; return its place.

        Its programs are put there too, empty: `verify` wants them to be there and runs none.
        """
        dropin = unit.parent.name.endswith(".d")
        place = self.units / (f"{unit.parent.name}/{unit.name}" if dropin else unit.name)
        place.parent.mkdir(exist_ok=True)
        shutil.copy(unit, place)
        for program in programs(unit):
            stub = self.root / program.lstrip("/")
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.write_text("#!/bin/sh\n")
            stub.chmod(0o755)
        return place

    def verify(self, name: str) -> Done:
        """Let systemd read a unit with all that it names."""
        analyze = tool("systemd-analyze", "systemd")
        return run(analyze, "verify", f"--root={self.root}", "--man=no", name)


def programs(unit: Path) -> list[str]:
    """Return the absolute paths of the programs that a unit starts."""
    lines = [line.partition("=") for line in unit.read_text().splitlines()]
    commands = [value.strip() for key, _, value in lines if key.startswith("Exec") and value]
    return [command.split()[0].lstrip(PREFIXES) for command in commands]


def settings(unit: Path, section: str) -> dict[str, list[str]]:
    """Return a unit's settings, each with all of its values in order."""
    found: dict[str, list[str]] = {}
    here = ""
    for line in unit.read_text().splitlines():
        text = line.strip()
        if text.startswith("["):
            here = text.strip("[]")
        elif here == section and "=" in text and not text.startswith("#"):
            key, _, value = text.partition("=")
            found.setdefault(key, []).append(value)
    return found
