"""What the board draws, where it tells: watts, from the first source that answers.

A Jetson's INA3221 (`VDD_IN` is the whole board, and what tegrastats shows too), x86's RAPL
(the processor packages alone), a Raspberry Pi 5's power chip (its rails, what hangs on USB
left out). Sources: Linux, Documentation/hwmon/ina3221.rst and power/powercap/powercap.rst;
Raspberry Pi documentation, vcgencmd.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from edgefer_device.system.clock import Clock
from edgefer_device.system.thermal import SYSFS, vcgencmd

MONITORS = "class/hwmon/hwmon*"
WHOLE = ("VDD_IN", "POM_5V_IN", "SYS_VIN")
"""Labels of the rail that feeds everything, by Jetson."""
PACKAGES = "class/powercap/intel-rapl:*"
RAIL = re.compile(r"(\w+)_([AV]) \w+\(\d+\)=([\d.]+)[AV]")


def _told() -> str:
    """Return what the power chip says; nothing where there is none."""
    return vcgencmd("pmic_read_adc")


class PowerMeter:
    """Reads the power again and again: some sources count energy, of which two looks make power."""

    def __init__(
        self, sysfs: Path = SYSFS, clock: Clock = time.monotonic, told: Callable[[], str] = _told
    ) -> None:
        self._sysfs, self._clock, self._told = sysfs, clock, told
        self._before: tuple[float, float] | None = None

    def watts(self) -> float | None:
        """Return the power; None where nothing tells it, and at a counter's first look."""
        found = _monitored(self._sysfs)
        if found is None:
            found = self._counted()
        return _summed(self._told()) if found is None else found

    def _counted(self) -> float | None:
        """Return the mean power since the look before, by the counters of energy."""
        joules, now = _joules(self._sysfs), self._clock()
        if joules is None:
            return None
        before, self._before = self._before, (joules, now)
        # A counter that has run over begins at 0.
        if before is None or joules < before[0] or now <= before[1]:
            return None
        return (joules - before[0]) / (now - before[1])


def _monitored(sysfs: Path) -> float | None:
    for label in sorted(sysfs.glob(f"{MONITORS}/in*_label")):
        if _text(label) in WHOLE:
            channel = label.name.removeprefix("in").removesuffix("_label")
            volts = _number(label.with_name(f"in{channel}_input"))
            amperes = _number(label.with_name(f"curr{channel}_input"))
            if volts is not None and amperes is not None:
                return volts * amperes / 1e6  # both in thousandths
    return None


def _joules(sysfs: Path) -> float | None:
    """Return what all packages have taken; each has parts of its own, which are left out."""
    packages = [path for path in sysfs.glob(PACKAGES) if path.name.count(":") == 1]
    counts = [_number(path / "energy_uj") for path in packages]
    known = [count for count in counts if count is not None]
    return sum(known) / 1e6 if known else None


def _summed(said: str) -> float | None:
    """Return volts times amperes over the rails of which both are told."""
    rails: dict[str, dict[str, float]] = {}
    for name, unit, value in RAIL.findall(said):
        rails.setdefault(name, {})[unit] = float(value)
    known = [rail["A"] * rail["V"] for rail in rails.values() if len(rail) == 2]
    return sum(known) if known else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        # Of a counter of energy only root may read, by the kernel's default.
        return float(path.read_text())
    except (OSError, ValueError):
        return None
