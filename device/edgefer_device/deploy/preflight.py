"""Preflight checks: whether edgefer can run on a host, before anything is sent there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefer import litert
from edgefer.errors import HostRefused
from edgefer_device.deploy.connection import Remote, shell_variables
from edgefer_device.deploy.targets import Target
from edgefer_device.deploy.wheels import Python
from edgefer_device.system.check import OLDEST, Level, check_architecture

SCRIPT = (Path(__file__).parent / "scripts" / "inspect.sh").read_text()
NEEDED_MB = 700
"""For one more release while it is made, its wheels included; measured: 530 on x86-64."""


FORMS = {
    **{"kernel": ".+", "machine": ".+", "bits": r"\d{1,4}", "system": ".*", "system_numpy": ".*"},
    **{"glibc": r"(\d{1,4}\.\d{1,4}(\..*)?)?", "python": r"(\d\.\d{1,4} \d{1,4})?"},
    **{"free": r"\d{0,15}", "spool": r"\d{0,15}"},
}
"""By what the script prints of every machine: how it is written."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found on a host."""

    fields: Mapping[str, str]
    missing: tuple[str, ...]
    """Debian packages that it lacks."""

    @property
    def running(self) -> str | None:
        """The release that runs there, or None."""
        return self.fields.get("running", "").rpartition("/")[2] or None

    @property
    def has_libedgetpu(self) -> bool:
        """Whether the library of an Edge TPU is installed there."""
        return "edgetpu" in self.fields

    def python(self, system_numpy: bool) -> Python:
        """Return its Python, and whether its system's NumPy is used with it."""
        major, minor = self.fields["python"].split()[0].split(".")
        glibc = self.fields["glibc"].split(".")
        numpy = self.fields["system_numpy"] if system_numpy else ""
        system = {"numpy": numpy} if numpy else {}
        place = int(glibc[0]), int(glibc[1])
        return Python((int(major), int(minor)), self.fields["machine"], place, system)


def inspect(remote: Remote, packages: tuple[str, ...], host: str) -> Machine:
    """Look at a host, and which of some packages it lacks."""
    variables = {"packages": " ".join(packages), "library": litert.EDGETPU_LIBRARY}
    output = remote.run(shell_variables(variables) + SCRIPT, "looking at it")
    pairs = [line.partition("=")[::2] for line in output.splitlines()]
    missing = tuple(value for key, value in pairs if key == "missing")
    found = dict(pairs)
    for key, form in FORMS.items():
        if key not in found or not re.fullmatch(form, found[key]):
            raise HostRefused(
                f"{host}: does not tell its {key}: its shell or its login prints other text"
            )
    return Machine(found, missing)


def require(machine: Machine, target: Target, host: str, new: bool) -> None:
    """Raise `HostRefused` with the first reason why a host cannot be deployed to.

    `new` is whether a release has to be made there, which takes room.
    """
    for fault in _faults(machine, target, new):
        raise HostRefused(f"{host}: {fault}")


def _faults(machine: Machine, target: Target, new: bool) -> Iterator[str]:
    fields = machine.fields
    if fields["kernel"] != "Linux":
        yield f"system: {fields['kernel']}; a device runs Linux"
    python = fields["python"].split()
    bits = int(python[1] if python else fields["bits"])
    check = check_architecture(fields["machine"], bits)
    if check.level is Level.fail:
        yield f"{check.what}: {check.found}; {check.advice}"
    if not python:
        found = "there is no /usr/bin/python3 with its venv module"
        yield f"python: {found}; run there: sudo apt-get install python3 python3-venv"
        return
    major, minor = map(int, python[0].split("."))
    if (major, minor) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        found = f"/usr/bin/python3 is {major}.{minor}"
        yield f"python: {found}; edgefer needs {needed}: install a newer system"
    if "systemd" not in fields:
        yield "systemd: does not run there; edgefer is a service of systemd"
    if not fields["glibc"]:
        yield "glibc: is missing; wheels are for glibc: take a Debian"
    if target.name.startswith("rpi") and "Debian" not in fields["system"]:
        yield f"system: {fields['system']}; a Raspberry Pi's target is Raspberry Pi OS"
    for place, key, needed_mb in (("/opt", "free", NEEDED_MB), ("/tmp", "spool", 100)):
        free = int(fields[key] or 0) // 1024
        if new and free < needed_mb:
            found = f"{free:,} MB free in {place}"
            yield f"room: {found}; a release needs {needed_mb} MB there: make room"
