"""Temperature, clock, throttling and power of the machine before, during and after a bench.

Power comes from the first source there is: a Jetson's INA3221 (`VDD_IN` feeds the whole board,
as tegrastats shows), x86's RAPL (the processor packages alone), a Raspberry Pi 5's power chip
(its rails, without what hangs on USB). Sources: Linux, Documentation/hwmon/ina3221.rst and
power/powercap/powercap.rst; Raspberry Pi documentation, vcgencmd.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from edgefer_device.system.clock import Clock
from edgefer_device.system.thermal import SYSFS, read_heat, vcgencmd

CLOCKS = "devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
CPUINFO = Path("/proc/cpuinfo")
MONITORS = "class/hwmon/hwmon*"
BOARD_RAILS = ("VDD_IN", "POM_5V_IN", "SYS_VIN")
"""Labels of the rail that feeds everything, by Jetson."""
PACKAGES = "class/powercap/intel-rapl:*"
RAIL = re.compile(r"(\w+)_([AV]) \w+\(\d+\)=([\d.]+)[AV]")
INTERVAL_SECONDS = 2.0
"""Between two readings: on an older Raspberry Pi each of them starts a program."""
SLOWER = 1.1
"""From how many times the first loops' time the last ones' is a warning."""
SPREAD = 0.1
"""From which share of the median the loops' range is a warning."""
DROPPED = 0.9
"""From which share of its highest clock down a loaded processor counts as slowed."""


class Reading(msgspec.Struct, frozen=True):
    """One reading of the machine's sensors; None where there is no sensor."""

    celsius: float | None
    """The hottest sensor."""
    mhz: float | None
    """Clock of the fastest core: an idle one beside it says nothing."""
    throttled: bool
    watts: float | None = None


class Telemetry(msgspec.Struct, frozen=True):
    """The readings around a bench."""

    before: Reading
    during: tuple[Reading, ...]
    """Every two seconds; none in a shorter bench."""
    after: Reading

    @property
    def all(self) -> tuple[Reading, ...]:
        """Every reading, in order."""
        return self.before, *self.during, self.after

    @property
    def watts(self) -> float | None:
        """Mean power during the bench; None where it is not measured."""
        known = [reading.watts for reading in self.during if reading.watts is not None]
        return float(np.mean(known)) if known else None


class Recorder:
    """Reads the sensors in a thread of its own while something is measured."""

    def __init__(self, read: Callable[[], Reading] | None = None) -> None:
        self._read = read or partial(read_sensors, meter=PowerMeter())
        self._ended = threading.Event()
        self._during: list[Reading] = []
        self._thread = threading.Thread(target=self._record, name="telemetry", daemon=True)

    def __enter__(self) -> Recorder:
        self._before = self._read()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._after = self._read()

    def telemetry(self) -> Telemetry:
        """Return the readings, once it has ended."""
        return Telemetry(self._before, tuple(self._during), self._after)

    def _record(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            self._during.append(self._read())


def read_sensors(
    sysfs: Path = SYSFS, cpuinfo: Path = CPUINFO, meter: PowerMeter | None = None
) -> Reading:
    """Read temperature, clock, throttling and power; never raises."""
    heat, watts = read_heat(sysfs), meter.watts() if meter else None
    mhz = max(_clocks(sysfs, cpuinfo), default=None)
    return Reading(heat.celsius, mhz, heat.throttled, watts)


def _clocks(sysfs: Path, cpuinfo: Path) -> list[float]:
    """Return each core's clock, MHz; x86 without cpufreq, as in a virtual machine, has it too."""
    found = [_number(path) for path in sysfs.glob(CLOCKS)]
    clocks = [kilohertz / 1000 for kilohertz in found if kilohertz is not None]
    if clocks or not cpuinfo.is_file():
        return clocks
    lines = cpuinfo.read_text().splitlines()
    return [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]


class PowerMeter:
    """Measures the power; where a source counts energy, between two readings."""

    def __init__(
        self,
        sysfs: Path = SYSFS,
        clock: Clock = time.monotonic,
        pmic: Callable[[], str] = lambda: vcgencmd("pmic_read_adc"),
    ) -> None:
        self._sysfs, self._clock, self._pmic = sysfs, clock, pmic
        self._before: tuple[float, float] | None = None

    def watts(self) -> float | None:
        """Return the power; None without a source, and at a counter's first reading."""
        found = _monitor_watts(self._sysfs)
        if found is None:
            found = self._counter_watts()
        return _pmic_watts(self._pmic()) if found is None else found

    def _counter_watts(self) -> float | None:
        """Return the mean power since the last reading, by the counters of energy."""
        joules, now = _joules(self._sysfs), self._clock()
        if joules is None:
            return None
        before, self._before = self._before, (joules, now)
        # A counter that has run over begins at 0.
        if before is None or joules < before[0] or now <= before[1]:
            return None
        return (joules - before[0]) / (now - before[1])


def _monitor_watts(sysfs: Path) -> float | None:
    for label in sorted(sysfs.glob(f"{MONITORS}/in*_label")):
        if label.read_text().strip() in BOARD_RAILS:
            channel = label.name.removeprefix("in").removesuffix("_label")
            volts = _number(label.with_name(f"in{channel}_input"))
            amperes = _number(label.with_name(f"curr{channel}_input"))
            if volts is not None and amperes is not None:
                return volts * amperes / 1e6  # both in thousandths
    return None


def _joules(sysfs: Path) -> float | None:
    """Return the energy of all packages; each has parts of its own, which are left out."""
    packages = [path for path in sysfs.glob(PACKAGES) if path.name.count(":") == 1]
    counts = [_number(path / "energy_uj") for path in packages]
    known = [count for count in counts if count is not None]
    return sum(known) / 1e6 if known else None


def _pmic_watts(text: str) -> float | None:
    """Return volts times amperes over the rails that have both."""
    rails: dict[str, dict[str, float]] = {}
    for name, unit, value in RAIL.findall(text):
        rails.setdefault(name, {})[unit] = float(value)
    known = [rail["A"] * rail["V"] for rail in rails.values() if len(rail) == 2]
    return sum(known) if known else None


def _number(path: Path) -> float | None:
    try:
        # A counter of energy is for root alone, by the kernel's default.
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def not_sustained(
    telemetry: Telemetry, loops: Sequence[tuple[str, Sequence[float]]]
) -> tuple[str, ...]:
    """Return why the figures would not last, by each benchmark's name and its loops' medians."""
    slower = tuple(_slower_loops(loops))
    return (*_slowed_machine(telemetry), *(slower or _spread_loops(loops)))


def _slowed_machine(telemetry: Telemetry) -> Iterator[str]:
    if any(reading.throttled for reading in telemetry.all):
        heat = max((reading.celsius or 0.0 for reading in telemetry.all), default=0.0)
        at = f" at {heat:.0f} °C" if heat else ""
        yield f"not sustained: the machine was throttled{at}; give it cooling or a better supply"
    clocks = [reading.mhz for reading in telemetry.during if reading.mhz is not None]
    if len(clocks) > 1 and clocks[-1] < DROPPED * max(clocks):
        yield f"not sustained: its clock fell from {max(clocks):.0f} to {clocks[-1]:.0f} MHz"


def _slower_loops(loops: Iterable[tuple[str, Sequence[float]]]) -> Iterator[str]:
    for what, medians in loops:
        if len(medians) < 4:
            continue
        first, last = float(np.mean(medians[:2])), float(np.mean(medians[-2:]))
        if first > 0 and last > SLOWER * first:
            yield (
                f"not sustained: {what} was {100 * (last / first - 1):.0f} % slower in the last "
                "loops than in the first; other work on the machine does that too"
            )


def _spread_loops(loops: Iterable[tuple[str, Sequence[float]]]) -> Iterator[str]:
    spread = {what: np.ptp(medians) / np.median(medians) for what, medians in loops if any(medians)}
    most = max(spread, key=spread.__getitem__, default="")
    if most and spread[most] > SPREAD:
        yield (
            f"not steady: the loops' p50 of {most} spread over {100 * spread[most]:.0f} %, and "
            "another run may differ as much; stop other work on the machine"
        )
