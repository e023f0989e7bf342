"""A look at a host before anything is sent there: what the doctor can judge without edgefer."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgefer import edgetpu
from edgefer.errors import HostRefused
from edgefer_device.deploy.connection import Remote
from edgefer_device.deploy.targets import Target
from edgefer_device.deploy.wheels import Python
from edgefer_device.system.check import (
    OLDEST,
    Check,
    Level,
    check_architecture,
    check_python,
    fail,
    ok,
)

LOOK = r"""
field() { printf '%s=%s\n' "$1" "$2"; }
field kernel "$(uname -s)"
field machine "$(uname -m)"
field bits "$(getconf LONG_BIT 2>/dev/null || echo 64)"
field glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)"
field system "$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
field name "$(hostname)"
[ -d /run/systemd/system ] && field systemd yes
field python "$(/usr/bin/python3 -I -c 'import struct, sys, venv
print("%d.%d" % sys.version_info[:2], 8 * struct.calcsize("P"))' 2>/dev/null)"
place=/opt/edgefer
[ -d "$place" ] || place=/opt
[ -d "$place" ] || place=/
field free "$(df -Pk "$place" | awk 'NR == 2 { print $4 }')"
field spool "$(df -Pk "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $4 }')"
field running "$(readlink /opt/edgefer/current)"
for package in PACKAGES; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || field missing "$package"
done
field system_numpy "$(/usr/bin/python3 -c 'import numpy; print(numpy.__version__)' 2>/dev/null)"
/sbin/ldconfig -p 2>/dev/null | grep -q 'LIBEDGETPU' && field edgetpu yes
true
"""
"""Prints `key=value` lines; a POSIX shell is all that it needs."""
NEEDED_MB = 700
"""For one more release while it is made, its wheels included; measured: 530 on x86-64."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was seen of a host."""

    told: Mapping[str, str]
    missing: tuple[str, ...]
    """Packages of Debian's that it lacks."""

    @property
    def running(self) -> str | None:
        """The release that runs there, or None."""
        return self.told.get("running", "").rpartition("/")[2] or None

    @property
    def has_libedgetpu(self) -> bool:
        """Whether the library of an Edge TPU is installed there."""
        return "edgetpu" in self.told

    def python(self, system_numpy: bool) -> Python:
        """Return its Python, and whether its system's NumPy is used with it."""
        major, minor = self.told["python"].split()[0].split(".")
        glibc = self.told["glibc"].split(".")
        numpy = self.told["system_numpy"] if system_numpy else ""
        system = {"numpy": numpy} if numpy else {}
        place = int(glibc[0]), int(glibc[1])
        return Python((int(major), int(minor)), self.told["machine"], place, system)


def look(remote: Remote, packages: tuple[str, ...]) -> Machine:
    """Look at a host."""
    script = LOOK.replace("PACKAGES", shlex.join(packages) if packages else "")
    script = script.replace("LIBEDGETPU", edgetpu.LIBRARY)
    pairs = [line.partition("=")[::2] for line in remote.run(script, "looking at it").splitlines()]
    missing = tuple(value for key, value in pairs if key == "missing")
    return Machine(dict(pairs), missing)


def require(machine: Machine, target: Target, host: str, new: bool) -> None:
    """Raise `HostRefused` for the first thing that keeps a host from being deployed to.

    `new` is whether a release has to be made there, which takes room.
    """
    for check in _checks(machine, target, new):
        if check.level is Level.fail:
            raise HostRefused(f"{host}: {check.what}: {check.found}; {check.advice}")


def _checks(machine: Machine, target: Target, new: bool) -> Iterator[Check]:
    told = machine.told
    if told["kernel"] != "Linux":
        yield fail("system", told["kernel"], "a device runs Linux")
    python = told["python"].split()
    yield check_architecture(told["machine"], int(python[1] if python else told["bits"]))
    if not python:
        found = "there is no /usr/bin/python3 with its venv module"
        yield fail("python", found, "run there: sudo apt-get install python3 python3-venv")
        return
    major, minor = python[0].split(".")
    yield _python((int(major), int(minor)))
    if "systemd" not in told:
        yield fail("systemd", "does not run there", "edgefer is a service of systemd")
    if not told["glibc"]:
        yield fail("glibc", "is missing", "wheels are for glibc: take a Debian")
    if target.name.startswith("rpi") and "Debian" not in told["system"]:
        yield fail("system", told["system"], "a Raspberry Pi's target is Raspberry Pi OS")
    if new:
        yield _room("/opt", int(told["free"] or 0) // 1024, NEEDED_MB)
        yield _room("/tmp", int(told["spool"] or 0) // 1024, 100)


def _python(version: tuple[int, int]) -> Check:
    check = check_python(version)
    found = f"{version[0]}.{version[1]}"
    if version < OLDEST:
        advice = f"edgefer needs {OLDEST[0]}.{OLDEST[1]}: install a newer system"
        return fail("python", f"/usr/bin/python3 is {found}", advice)
    return check


def _room(place: str, free: int, needed: int) -> Check:
    found = f"{free:,} MB free in {place}"
    if free < needed:
        return fail("room", found, f"a release needs {needed} MB there: make room")
    return ok("room", found)
