"""How hot, how fast and how held back the board was before, during and after a bench."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np

from edgefer_device.bench.power import PowerMeter
from edgefer_device.system.thermal import SYSFS, read_heat

CLOCKS = "devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
CPUINFO = Path("/proc/cpuinfo")
WATCH_SECONDS = 2.0
"""Between two looks: on an older Raspberry Pi each of them starts a program."""
SLOWER = 1.1
"""From how many times the first loops' time the last ones' is a warning."""
APART = 0.1
"""From which share of the middle one the loops' range is a warning."""
DROPPED = 0.9
"""From which share of its highest clock down a loaded processor counts as slowed."""


class State(msgspec.Struct, frozen=True):
    """One look at the board."""

    celsius: float | None
    """The hottest sensor; None where nothing tells it, as for the clock."""
    mhz: float | None
    """Clock of the fastest core: an idle one beside it says nothing."""
    throttled: bool
    watts: float | None = None
    """Power; None where nothing tells it."""


class Board(msgspec.Struct, frozen=True):
    """The board around a bench."""

    before: State
    during: tuple[State, ...]
    """Every two seconds; none in a shorter bench."""
    after: State

    @property
    def all(self) -> tuple[State, ...]:
        """Every look, in order."""
        return self.before, *self.during, self.after

    @property
    def watts(self) -> float | None:
        """Mean power while things were measured; None where nothing tells it."""
        told = [state.watts for state in self.during if state.watts is not None]
        return float(np.mean(told)) if told else None


def read_state(
    sysfs: Path = SYSFS, cpuinfo: Path = CPUINFO, meter: PowerMeter | None = None
) -> State:
    """Look at the thermometers, the clocks, the throttling flags and the power; never raises."""
    heat, watts = read_heat(sysfs), meter.watts() if meter else None
    mhz = max(_clocks(sysfs, cpuinfo), default=None)
    return State(heat.celsius, mhz, heat.throttled, watts)


def _clocks(sysfs: Path, cpuinfo: Path) -> Iterator[float]:
    """Yield each core's clock, MHz; x86 without cpufreq, as in a virtual machine, tells it too."""
    found = False
    for path in sysfs.glob(CLOCKS):
        try:
            yield int(path.read_text()) / 1000
            found = True
        except (OSError, ValueError):
            continue
    if found or not cpuinfo.is_file():
        return
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("cpu MHz"):
            yield float(line.partition(":")[2])


class Watch:
    """Looks at the board from a thread of its own while something is measured."""

    def __init__(self, read: Callable[[], State] | None = None) -> None:
        meter = PowerMeter()
        self._read = read or (lambda: read_state(meter=meter))
        self._ended = threading.Event()
        self._during: list[State] = []
        self._thread = threading.Thread(target=self._look, name="board", daemon=True)

    def __enter__(self) -> Watch:
        self._before = self._read()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._after = self._read()

    def board(self) -> Board:
        """Return what was seen; once it has ended."""
        return Board(self._before, tuple(self._during), self._after)

    def _look(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            self._during.append(self._read())


def not_sustained(board: Board, loops: Sequence[tuple[str, Sequence[float]]]) -> tuple[str, ...]:
    """Return in words why the figures would not last; nothing where no sign speaks against it.

    `loops` are what was timed and the median of each of its loops, milliseconds.
    """
    grown = tuple(_grown(loops))
    return (*_slowed(board), *(grown or _moved(loops)))


def _slowed(board: Board) -> Iterator[str]:
    if any(state.throttled for state in board.all):
        heat = max((state.celsius or 0.0 for state in board.all), default=0.0)
        at = f" at {heat:.0f} °C" if heat else ""
        yield f"not sustained: the machine was throttled{at}; give it cooling or a better supply"
    clocks = [state.mhz for state in board.during if state.mhz is not None]
    if len(clocks) > 1 and clocks[-1] < DROPPED * max(clocks):
        yield f"not sustained: its clock fell from {max(clocks):.0f} to {clocks[-1]:.0f} MHz"


def _grown(loops: Iterable[tuple[str, Sequence[float]]]) -> Iterator[str]:
    for what, medians in loops:
        if len(medians) < 4:
            continue
        first, last = float(np.mean(medians[:2])), float(np.mean(medians[-2:]))
        if first > 0 and last > SLOWER * first:
            yield (
                f"not sustained: {what} was {100 * (last / first - 1):.0f} % slower in the last "
                "loops than in the first; other work on the machine does that too"
            )


def _moved(loops: Iterable[tuple[str, Sequence[float]]]) -> Iterator[str]:
    apart = {what: np.ptp(medians) / np.median(medians) for what, medians in loops if any(medians)}
    most = max(apart, key=apart.__getitem__, default="")
    if most and apart[most] > APART:
        yield (
            f"not steady: the loops' p50 of {most} lie {100 * apart[most]:.0f} % apart, and "
            "another run may differ as much; end other work on the machine"
        )
