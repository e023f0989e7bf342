"""Calls timed in loops after a warm-up: several loops tell how far a figure can be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

from edgefer.errors import SettingsError
from edgefer.progress import shown
from edgefer_device.bench.result import FOR_P99, Timing, timing_of

WARM_UP = 30
"""Calls before the first that counts: caches, clocks and lazy set-up."""
LEAST_WARM_UP = 3
"""Of slow calls, whose warm-up ends after the time of a loop."""
LOOPS = 5
"""The least with which five against five can differ significantly: 2 of 252 orders."""
SECONDS, SHORT_SECONDS = 10.0, 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each thing is measured."""

    seconds: float = SECONDS
    """Of a loop."""
    short: bool = False
    """Whether percentiles that are not reached are left out in place of refused."""
    loops: int = LOOPS

    def part(self, share: float) -> Plan:
        """Return the plan for one of many things, which gets only a share of the time."""
        return Plan(self.seconds * share, True, self.loops)


class Loops:
    """Divides calls that follow each other into a warm-up and loops, behind a progress bar."""

    def __init__(
        self, what: str, plan: Plan, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._what, self._plan, self._clock = what, plan, clock
        self._bar: Iterator[int] = shown(range(plan.loops), what)
        self._begun, self._warm_up = clock(), 0
        self.index = -1
        """Of the loop that runs; -1 in the warm-up."""
        self.lengths: list[float] = []
        """Seconds of the loops that are done."""

    def __enter__(self) -> Loops:
        self._begun = self._clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar = iter(())  # lets go of the bar, which goes away

    @property
    def done(self) -> bool:
        """Whether every loop has run."""
        return len(self.lengths) == self._plan.loops

    def ended(self) -> bool:
        """Take note that a call has ended; return `done`.

        Raises `SettingsError` after the warm-up where the time is too short for a percentile.
        """
        now = self._clock()
        passed = now - self._begun
        if self.index < 0:
            self._warm_up += 1
            slow = passed >= self._plan.seconds and self._warm_up >= LEAST_WARM_UP
            if self._warm_up >= WARM_UP or slow:
                self._require(self._warm_up / max(passed, 1e-9))
                self._next(now)
        elif passed >= self._plan.seconds and not self.done:
            self.lengths.append(passed)
            self._next(now)
        return self.done

    def _next(self, now: float) -> None:
        self._begun, self.index = now, self.index + 1
        next(self._bar, None)

    def _require(self, rate: float) -> None:
        """Refuse a time in which, at so many calls a second, no 99th percentile would be told."""
        calls = self._plan.loops * self._plan.seconds * rate
        if calls < FOR_P99 and not self._plan.short:
            enough = 1.2 * FOR_P99 / (self._plan.loops * rate)
            raise SettingsError(
                f"{self._what}: {self._plan.loops} loops of {self._plan.seconds:g} s are too short "
                f"for a 99th percentile: {calls:.0f} calls of {FOR_P99}; "
                f"give --duration {max(enough, 0.1):.1f} or --short"
            )


class Series:
    """Calls of one kind; as a context manager it times what is done within."""

    def __init__(self, what: str, loops: Loops) -> None:
        self.what, self._loops = what, loops
        self._calls: list[list[tuple[float, float]]] = []
        self._begun = (0.0, 0.0)
        self.latest = (0.0, 0.0)
        """The last call: wall and CPU time, seconds; whoever reads it may reset it."""

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        wall, cpu = self._begun
        self.note(time.perf_counter() - wall, time.process_time() - cpu)

    def note(self, wall: float, cpu: float) -> None:
        """Take a call, seconds; those of the warm-up do not count."""
        self.latest = wall, cpu
        if self._loops.index < 0 or self._loops.done:
            return
        while len(self._calls) <= self._loops.index:
            self._calls.append([])
        self._calls[self._loops.index].append(self.latest)

    def timing(self) -> Timing | None:
        """Return the figures; None where nothing was called."""
        return timing_of(self.what, self._calls, self._loops.lengths)


def timed(what: str, call: Callable[[], object], plan: Plan) -> Timing:
    """Time a call by itself."""
    with Loops(what, plan) as loops:
        series = Series(what, loops)
        while True:
            with series:
                call()
            if loops.ended():
                break
    timing = series.timing()
    assert timing is not None  # a loop ends with a call
    return timing
