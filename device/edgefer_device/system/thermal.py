"""Temperature and throttling: the kernel's thermal zones and a Raspberry Pi's firmware."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SYSFS = Path("/sys")
ZONES = "class/thermal/thermal_zone*"
FLAGS = "devices/platform/soc/soc:firmware/get_throttled"
"""Where a Raspberry Pi's kernel reports its throttling flags, in hexadecimal."""
NOW = 0b1111
"""The flags that hold now: under-voltage, frequency capped, throttled, soft temperature limit;
16 bits higher they mean that it happened since boot (Raspberry Pi documentation, vcgencmd)."""
HOTTEST = 150.0
"""A sensor that reports more than this, or less than -50, is not connected."""
VCGENCMD = "vcgencmd"
"""The program that queries a Raspberry Pi's firmware."""
SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Heat:
    """One reading of the sensors."""

    celsius: float | None
    """The hottest sensor that belongs to a processor; None where there is none."""
    throttled: bool
    """Whether the machine runs slower now than it could, or is about to."""


class Zone(NamedTuple):
    """One thermal zone."""

    celsius: float
    name: str


HeatReader = Callable[[], Heat]


def read_heat(sysfs: Path = SYSFS) -> Heat:
    """Read the thermal zones and a Raspberry Pi's throttling flags; never raises."""
    try:
        hottest = hottest_zone(sysfs)
    except OSError:
        hottest = None  # no file can be opened now
    flags = throttling_flags(sysfs) or 0
    return Heat(hottest.celsius if hottest else None, flags & NOW != 0)


def hottest_zone(sysfs: Path = SYSFS) -> Zone | None:
    """Return the hottest thermal zone; None where no sensor reports."""
    zones = [_read_zone(folder) for folder in sorted(sysfs.glob(ZONES))]
    known = [zone for zone in zones if zone is not None and -50 < zone.celsius < HOTTEST]
    return max(known, default=None)


def _read_zone(folder: Path) -> Zone | None:
    try:
        # The kernel counts in thousandths (Documentation/driver-api/thermal/sysfs-api.rst).
        celsius = int((folder / "temp").read_text()) / 1000
    except (OSError, ValueError):
        return None  # a zone that is switched off returns an error
    kind = folder / "type"
    return Zone(celsius, kind.read_text().strip() if kind.is_file() else folder.name)


def throttling_flags(sysfs: Path = SYSFS) -> int | None:
    """Return a Raspberry Pi's throttling flags; None where neither kernel nor firmware reports."""
    try:
        return int((sysfs / FLAGS).read_text(), 16)
    except (OSError, ValueError):
        pass  # older kernels leave the flags to the firmware
    try:
        return int(vcgencmd("get_throttled").strip().partition("=")[2], 16)
    except ValueError:
        return None


def vcgencmd(command: str) -> str:
    """Return the output of `get_throttled`, `pmic_read_adc`...; empty where it fails."""
    if shutil.which(VCGENCMD) is None:
        return ""
    try:
        done = subprocess.run(
            [VCGENCMD, command], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
