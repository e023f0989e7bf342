"""How hot the machine is, and whether it holds itself back for that or for want of power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgefer_device.system.vcgencmd import vcgencmd

SYSFS = Path("/sys")
ZONES = "class/thermal/thermal_zone*"
FLAGS = "devices/platform/soc/soc:firmware/get_throttled"
"""Where a Raspberry Pi's kernel tells its throttling flags, in hexadecimal."""
NOW = 0b1111
"""The flags that hold now: under-voltage, frequency capped, throttled, soft temperature limit
(the higher ones say that it happened since the start; Raspberry Pi documentation, vcgencmd)."""
HOTTEST = 150.0
"""A sensor that says more than this, or less than -50, is not connected."""


@dataclass(frozen=True, slots=True)
class Heat:
    """One look at the sensors."""

    celsius: float | None
    """The hottest sensor that belongs to a processor; None where there is none."""
    throttled: bool
    """Whether the machine runs slower now than it could, or is about to."""


HeatReader = Callable[[], Heat]


def read_heat(sysfs: Path = SYSFS) -> Heat:
    """Look at the kernel's thermal zones and at a Raspberry Pi's flags; never raises."""
    return Heat(_celsius(sysfs), _throttled(sysfs))


def _celsius(sysfs: Path) -> float | None:
    readings = [_reading(zone) for zone in sorted(sysfs.glob(ZONES))]
    said = [celsius for celsius in readings if celsius is not None and -50 < celsius < HOTTEST]
    return max(said, default=None)


def _reading(zone: Path) -> float | None:
    try:
        # The kernel counts in thousandths (Documentation/driver-api/thermal/sysfs-api.rst).
        return int((zone / "temp").read_text()) / 1000
    except (OSError, ValueError):
        return None  # a zone that is switched off answers with an error


def _throttled(sysfs: Path) -> bool:
    try:
        return bool(int((sysfs / FLAGS).read_text(), 16) & NOW)
    except (OSError, ValueError):
        # Older kernels keep the flags to the firmware.
        return flags_of(vcgencmd("get_throttled")) & NOW != 0


def flags_of(said: str) -> int:
    """Return the flags in `throttled=0x50005`; 0 for anything else."""
    try:
        return int(said.strip().partition("=")[2], 16)
    except ValueError:
        return 0
