"""Checks of the machine: system, memory, clock, throttling, temperature."""

from __future__ import annotations

import ctypes
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from edgefer_device.system.check import Check, fail, ok, warn
from edgefer_device.system.thermal import NOW, SYSFS, VCGENCMD, hottest_zone, throttling_flags

MEMINFO = Path("/proc/meminfo")
GROUPS = Path("/sys/fs/cgroup")
NEEDED_MB, SPARE_MB = 110, 250
"""What the daemon needs, and what should be free so that nothing else is swapped out."""

WARM, HOT = 70.0, 80.0
"""Degrees Celsius; at 80 a Raspberry Pi slows down (raspberrypi.com, Frequency management)."""

UNSYNCHRONISED = 5
"""TIME_ERROR, what adjtimex(2) returns for a clock that nothing corrects."""

THROTTLING = {
    0x1: "under-voltage",
    0x2: "frequency capped",
    0x4: "throttled",
    0x8: "temperature limit",
}
"""By flag: what it means (raspberrypi.com, vcgencmd); 16 bits higher: since boot."""


def check_system() -> Check:
    """Check for Linux."""
    system = platform.system()
    if system != "Linux":
        return fail("system", system, "the daemon needs Linux")
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", system)
    except OSError:
        name = system
    return ok("system", f"{name}, Linux {platform.release()}")


def check_memory(meminfo: Path = MEMINFO) -> Check:
    """Check for enough free memory."""
    lines = meminfo.read_text().splitlines() if meminfo.is_file() else []
    held = {line.partition(":")[0]: int(line.split()[1]) * 1024 // 10**6 for line in lines}
    if "MemAvailable" not in held:
        return warn("memory", "/proc/meminfo is not readable", "check with: free -m")
    found = f"{held['MemAvailable']:,} of {held['MemTotal']:,} MB free"
    if held["MemAvailable"] < NEEDED_MB:
        advice = f"the daemon needs {NEEDED_MB} MB: end other programs, or run without a desktop"
        return fail("memory", found, advice)
    if held["MemAvailable"] < SPARE_MB:
        return warn("memory", found, f"keep {SPARE_MB} MB free: end other programs")
    return ok("memory", found)


def check_limits(groups: Path = GROUPS) -> Check:
    """Check the memory control group: without it `MemoryMax=` has no effect."""
    listed = groups / "cgroup.controllers"
    second = listed.is_file()  # version of control groups; the first has a folder for each
    if "memory" in listed.read_text().split() if second else (groups / "memory").is_dir():
        return ok("limits", "memory control group enabled")
    advice = "on a Raspberry Pi add cgroup_enable=memory to the line of /boot/firmware/cmdline.txt"
    return warn("limits", "no memory control group: MemoryMax= has no effect", advice)


def check_clock(adjtimex: Callable[[], int] | None = None) -> Check:
    """Check that the clock is synchronised: content rules and TLS need the time."""
    try:
        state = (adjtimex or _adjtimex)()
    except (OSError, AttributeError) as exc:
        return warn("clock", f"state unknown: {exc}", "check with: timedatectl")
    if state == UNSYNCHRONISED:
        return warn("clock", "not synchronised", "run: sudo timedatectl set-ntp true")
    return ok("clock", "synchronised")


def _adjtimex() -> int:
    """Return the state of the kernel's clock; see adjtimex(2)."""
    # `struct timex` has 208 bytes at most; all zero asks and changes nothing.
    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state < 0:
        raise OSError("adjtimex is not permitted")
    return state


def check_throttling(sysfs: Path = SYSFS) -> Check:
    """Check a Raspberry Pi's throttling flags."""
    flags = throttling_flags(sysfs)
    if flags is not None:
        return throttling(flags)
    if shutil.which(VCGENCMD) is None:
        return ok("throttling", "not a Raspberry Pi, or without vcgencmd")
    advice = "add the user to the group video: sudo usermod -aG video $USER"
    return warn("throttling", f"{VCGENCMD} does not respond", advice)


def throttling(flags: int) -> Check:
    """Return what the flags of `vcgencmd get_throttled` mean."""
    for when, held in (("now", flags & NOW), ("since boot", flags >> 16 & NOW)):
        if held:
            names = ", ".join(name for flag, name in THROTTLING.items() if held & flag)
            return warn("throttling", f"{when}: {names}", _remedy(held))
    return ok("throttling", "none since boot")


def _remedy(flags: int) -> str:
    if flags & 0x1:
        return "use the power supply made for this board, and a short cable"
    return "give it a heat sink or a fan, and the mirror's frame some air"


def check_heat(sysfs: Path = SYSFS) -> Check:
    """Check the hottest thermal zone."""
    zone = hottest_zone(sysfs)
    if zone is None:
        return ok("heat", "no temperature sensor")
    found = f"{zone.celsius:.0f} °C ({zone.name})"
    if zone.celsius >= WARM:
        limit = "throttled" if zone.celsius >= HOT else f"throttled at {HOT:.0f} °C"
        return warn("heat", found, f"{limit}: give it a heat sink, a fan, or air")
    return ok("heat", found)
