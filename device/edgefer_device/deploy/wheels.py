"""The wheels that a release is made of, for another machine's Python and architecture.

`device/pins` names each with the hashes of its files: nothing else is installed on a device.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from edgefer.errors import DeployError

LEAST_GLIBC = 17
"""The oldest that wheels of today name (manylinux2014)."""


@dataclass(frozen=True, slots=True)
class Python:
    """The Python of a target."""

    version: tuple[int, int]
    machine: str
    """`x86_64`, `aarch64`."""
    glibc: tuple[int, int]
    system: Mapping[str, str] = field(default_factory=dict)
    """Packages that its system has and a venv sees, with their versions."""

    @property
    def dotted(self) -> str:
        """`3.11`."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def name(self) -> str:
        """`cp311-aarch64`, a folder's name."""
        return f"{self._tag}-{self.machine}"

    @property
    def _tag(self) -> str:
        return f"cp{self.version[0]}{self.version[1]}"

    def takes(self, wheel: Path) -> bool:
        """Whether a wheel is for it, as far as its name shows."""
        return any(
            (tag.interpreter in (self._tag, "py3") or tag.abi == "abi3")
            and tag.platform.endswith((self.machine, "any"))
            for tag in parse_wheel_filename(wheel.name)[3]
        )

    def markers(self) -> dict[str, str]:
        """Return what markers are judged by (packaging.python.org, Dependency specifiers)."""
        here = {key: str(value) for key, value in default_environment().items()}
        return here | {
            "python_version": self.dotted,
            "python_full_version": f"{self.dotted}.0",
            "platform_machine": self.machine,
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }

    def pip_options(self) -> list[str]:
        """Return what makes pip fetch for this Python."""
        names = [f"manylinux_2_{minor}" for minor in range(self.glibc[1], LEAST_GLIBC - 1, -1)]
        platforms = [f"{name}_{self.machine}" for name in (*names, "manylinux2014")]
        abis = [f"--abi={abi}" for abi in (self._tag, "abi3", "none")]
        options = [f"--python-version={self.dotted}", "--implementation=cp", *abis]
        return [*options, *(f"--platform={platform}" for platform in platforms)]


@dataclass(frozen=True, slots=True)
class Pin:
    """One package as it is pinned: a version, and the hashes of its files."""

    name: str
    version: str
    hashes: frozenset[str]
    """`sha256:...`; of every file that its index has of that version."""

    def __str__(self) -> str:
        hashes = "".join(f" --hash={one}" for one in sorted(self.hashes))
        return f"{self.name}=={self.version}{hashes}\n"


def read_pins(text: str, python: Python) -> dict[str, Pin]:
    """Return the pins of a file that count for a Python, by name, without what its system has."""
    found: dict[str, Pin] = {}
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split(" --hash=")
        if not hashes:
            continue
        one = Requirement(requirement)
        name = canonicalize_name(one.name)
        counts = one.marker is None or one.marker.evaluate(python.markers())
        if counts and name not in python.system:
            version = str(one.specifier).removeprefix("==")
            found[name] = Pin(name, version, frozenset(map(str.strip, hashes)))
    return found


@dataclass(frozen=True, slots=True)
class Pins:
    """What a release stands on, for one Python."""

    python: Python
    pip: Pin
    needed: tuple[Pin, ...]
    data: tuple[Pin, ...]
    """Wheels that are used as folders of data."""


class Wheelhouse:
    """A folder of wheels on this machine, filled from the package index when one is missing.

    In one that the user `named` no file is deleted: one with other content is an error.
    """

    def __init__(self, root: Path, python: Python, named: bool = False) -> None:
        self._python, self._named = python, named
        self._folder = root / python.name

    def fetch(self, pins: Iterable[Pin]) -> list[Path]:
        """Return the wheels of pins, in their order, each with one of its hashes."""
        wanted = list(pins)
        found = {one: self._find(one) for one in wanted}
        missing = [one for one, wheel in found.items() if wheel is None]
        if missing:
            self._download(missing)
            found |= {one: self._find(one) for one in missing}
        wheels = []
        for one in wanted:
            wheel = found[one]
            if wheel is None:
                raise DeployError(
                    f"{one.name}=={one.version}: there is no wheel for {self._python.name}"
                )
            wheels.append(wheel)
        return wheels

    def _find(self, pin: Pin) -> Path | None:
        others = []
        for wheel in self._folder.glob("*.whl"):
            name, version, _, _ = parse_wheel_filename(wheel.name)
            if (name, str(version)) == (pin.name, pin.version):
                if file_hash(wheel) in pin.hashes:
                    return wheel
                others.append(wheel)  # damaged, or another's
        if others and self._named:
            raise DeployError(f"{others[0]}: is not the file that is pinned; move it away")
        for wheel in others:
            wheel.unlink()  # it is fetched anew
        return None

    def _download(self, pins: list[Pin]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]
        command += ["--dest", str(self._folder), *self._python.pip_options(), "-r"]
        # A constraint of the environment is for what is installed here, not there.
        environment = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        with tempfile.TemporaryDirectory() as place:
            given = Path(place) / "wanted.txt"
            given.write_text("".join(map(str, pins)))
            command.append(str(given))
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, env=environment
            )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            why = (errors or done.stderr.strip().splitlines() or ["pip reports nothing"])[-1]
            raise DeployError(
                f"wheels for {self._python.name} cannot be fetched: "
                f"{why.removeprefix('ERROR: ')}; is this machine online?"
            )


def file_hash(file: Path) -> str:
    """Return a file's hash as pins have it."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
