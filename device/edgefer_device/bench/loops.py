"""Calls timed in loops: one of each thing in turn, so that a slow while meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from types import TracebackType

from edgefer.errors import SettingsError
from edgefer.progress import shown
from edgefer_device.bench.result import FOR_P99, Lap, Timing, timing_of

WARM_UP = 30
"""Calls before the first of a loop that counts: caches, clocks and lazy set-up."""
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


class LoopClock:
    """One loop: calls that follow each other, divided into a warm-up and those that count."""

    def __init__(
        self, what: str, plan: Plan, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._what, self._plan, self._clock = what, plan, clock
        self._begun, self._warm_up = clock(), 0
        self.counts = False
        """Whether the warm-up is past and the loop is not done."""
        self.seconds = 0.0
        """How long it was, once it is done."""

    @property
    def done(self) -> bool:
        """Whether its time is up."""
        return self.seconds > 0

    def ended(self) -> bool:
        """Take note that a call has ended; return `done`.

        Raises `SettingsError` after the warm-up where the time is too short for a percentile.
        """
        now = self._clock()
        passed = now - self._begun
        if self.counts and passed >= self._plan.seconds:
            self.seconds, self.counts = passed, False
        elif not self.counts and not self.done:
            self._warm_up += 1
            slow = passed >= self._plan.seconds and self._warm_up >= LEAST_WARM_UP
            if self._warm_up >= WARM_UP or slow:
                self._require(self._warm_up / max(passed, 1e-9))
                self._begun, self.counts = now, True
        return self.done

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
    """A loop's calls of one kind; as a context manager it times what is done within."""

    def __init__(self, what: str, loop: LoopClock) -> None:
        self.what, self._loop = what, loop
        self.calls: list[tuple[float, float]] = []
        """Those that count: wall and CPU time, seconds."""
        self._begun = (0.0, 0.0)
        self.latest = (0.0, 0.0)
        """The last call; whoever reads it may reset it."""

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
        if self._loop.counts:
            self.calls.append(self.latest)


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is timed in loops."""

    what: str
    run: Callable[[LoopClock], Iterable[Series]]
    """Calls it until the loop is done; returns what was noted, one series for each figure."""


def in_turns(things: Sequence[Thing], plan: Plan, description: str) -> list[Timing]:
    """Time things, a loop of each in turn, behind a bar; leave out what was never called."""
    laps: dict[str, list[Lap]] = {}
    for _, thing in shown(list(product(range(plan.loops), things)), description):
        loop = LoopClock(thing.what, plan)
        for series in thing.run(loop):
            laps.setdefault(series.what, []).append(Lap(series.calls, loop.seconds))
    return [timing for what, held in laps.items() if (timing := timing_of(what, held))]


def calling(what: str, call: Callable[[], object]) -> Thing:
    """Return a call as a thing of its own."""

    def run(loop: LoopClock) -> Iterable[Series]:
        series = Series(what, loop)
        while not loop.done:
            with series:
                call()
            loop.ended()
        return [series]

    return Thing(what, run)
