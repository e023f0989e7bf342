"""Timed loops, made of short turns, so that a slow while meets all benchmarks alike.

Only a quiet machine gives the same median twice. The quickest of many short turns, spread over
the whole bench, come out alike even where other work comes and goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer_device.bench.result import Loop, Timing

T = TypeVar("T")

WARM_UP = 30
"""Calls before the first of a turn that counts: caches, clocks and lazy set-up."""
LEAST_WARM_UP = 3
"""Of slow calls, whose warm-up ends after the time of a turn."""
LOOPS = 5
"""The least with which five against five can differ significantly: 2 of 252 orders."""
SECONDS, SHORT_SECONDS = 10.0, 0.3
TURN_SECONDS = 2.0
"""Long beside a warm-up, short beside how long a neighbour's work pauses."""
FOR_P90, FOR_P99 = 10, 100
"""Calls that a percentile needs, so that at least one lies beyond it."""
FOR_BEST_SECOND = 10
"""Calls that the quickest second must have: the median of fewer comes out low by chance."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each benchmark runs."""

    seconds: float = SECONDS
    """Of a loop."""
    short: bool = False
    """Whether percentiles that are not reached are left out instead of refused."""
    loops: int = LOOPS
    turn_seconds: float = TURN_SECONDS

    @property
    def turns(self) -> int:
        """How many turns a loop is made of."""
        return max(1, round(self.seconds / self.turn_seconds))

    @property
    def turn(self) -> float:
        """Seconds of a turn."""
        return self.seconds / self.turns

    def part(self, share: float) -> Plan:
        """Return the plan for one of many benchmarks, which gets only a share of the time."""
        return replace(self, seconds=self.seconds * share, short=True)


class TurnClock:
    """One turn: consecutive calls, divided into a warm-up and those that count."""

    def __init__(
        self, what: str, plan: Plan, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._what, self._plan, self._clock = what, plan, clock
        self._begun, self._warm_up = clock(), 0
        self.counts = False
        """Whether the warm-up is past and the turn is not done."""
        self.seconds = 0.0
        """Its length, once it is done."""

    @property
    def done(self) -> bool:
        """Whether its time is up."""
        return self.seconds > 0

    def ended(self) -> bool:
        """Record the end of a call; return `done`.

        Raises `SettingsError` after the warm-up where the time is too short for a percentile.
        """
        now = self._clock()
        passed = now - self._begun
        if self.counts and passed >= self._plan.turn:
            self.seconds, self.counts = passed, False
        elif not self.counts and not self.done:
            self._warm_up += 1
            slow = passed >= self._plan.turn and self._warm_up >= LEAST_WARM_UP
            if self._warm_up >= WARM_UP or slow:
                self._require(self._warm_up / max(passed, 1e-9))
                self._begun, self.counts = now, True
        return self.done

    def _require(self, rate: float) -> None:
        """Refuse a time in which, at so many calls a second, there is no 99th percentile."""
        calls = self._plan.loops * self._plan.seconds * rate
        if calls < FOR_P99 and not self._plan.short:
            enough = 1.2 * FOR_P99 / (self._plan.loops * rate)
            raise SettingsError(
                f"{self._what}: {self._plan.loops} loops of {self._plan.seconds:g} s are too short "
                f"for a 99th percentile: {calls:.0f} calls of {FOR_P99}; "
                f"give --duration {max(enough, 0.1):.1f} or --short"
            )


class Series:
    """A turn's calls of one kind."""

    def __init__(self, what: str, turn: TurnClock) -> None:
        self.what, self._turn = what, turn
        self.calls: list[tuple[float, float]] = []
        """Those that count: wall and CPU time, seconds."""
        self.latest = (0.0, 0.0)
        """The last call; whoever reads it may reset it."""

    def timed(self, call: Callable[[], T]) -> T:
        """Time a call and return its result."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        self.add(time.perf_counter() - wall, time.process_time() - cpu)
        return result

    def add(self, wall: float, cpu: float) -> None:
        """Record a call, seconds; those of the warm-up do not count."""
        self.latest = wall, cpu
        if self._turn.counts:
            self.calls.append(self.latest)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Something that is timed."""

    what: str
    run: Callable[[TurnClock], Iterable[Series]]
    """Calls it until the turn is done; returns one series for each figure."""


def calling(what: str, call: Callable[[], object]) -> Benchmark:
    """Return the benchmark of a function."""

    def run(turn: TurnClock) -> Iterable[Series]:
        series = Series(what, turn)
        while not turn.done:
            series.timed(call)
            turn.ended()
        return [series]

    return Benchmark(what, run)


def run_in_turns(benchmarks: Sequence[Benchmark], plan: Plan, description: str) -> list[Timing]:
    """Run benchmarks, turn by turn, behind a bar; leave out what was never called."""
    held: dict[str, list[Turn]] = {}
    for benchmark in track([*benchmarks] * (plan.loops * plan.turns), description):
        turn = TurnClock(benchmark.what, plan)
        for series in benchmark.run(turn):
            held.setdefault(series.what, []).append(Turn(series.calls, turn.seconds))
    timings = [timing_of(what, turns, plan.turns) for what, turns in held.items()]
    return [timing for timing in timings if timing]


class Turn(NamedTuple):
    """What one turn of a benchmark recorded."""

    calls: Sequence[tuple[float, float]]
    """Wall and CPU time of each, seconds."""
    seconds: float
    """Of the turn."""


def timing_of(what: str, turns: Sequence[Turn], turns_a_loop: int) -> Timing | None:
    """Return the figures of a benchmark's turns; None without a call."""
    whole = _joined(turns)
    if not whole.calls:
        return None
    walls, cpus = 1e3 * np.array(whole.calls).T
    loops = [_joined(turns[at : at + turns_a_loop]) for at in range(0, len(turns), turns_a_loop)]
    return Timing(
        what=what,
        calls=len(walls),
        best_second=_best_second(walls, whole.seconds),
        p50=float(np.percentile(walls, 50)),
        p90=float(np.percentile(walls, 90)) if len(walls) >= FOR_P90 else None,
        p99=float(np.percentile(walls, 99)) if len(walls) >= FOR_P99 else None,
        max=float(walls.max()),
        rate=len(walls) / whole.seconds,
        cpu_ms=float(cpus.mean()),
        loops=tuple(_loop(loop) for loop in loops if loop.calls),
    )


def _joined(turns: Sequence[Turn]) -> Turn:
    calls = [call for turn in turns for call in turn.calls]
    return Turn(calls, sum(turn.seconds for turn in turns))


def _best_second(walls: NDArray[np.float64], seconds: float) -> float:
    """Return the least median of all seconds, or of longer parts where these have few calls."""
    parts = max(1, min(round(seconds), len(walls) // FOR_BEST_SECOND))
    return min(float(np.median(part)) for part in np.array_split(walls, parts))


def _loop(loop: Turn) -> Loop:
    walls, cpus = 1e3 * np.array(loop.calls).T
    return Loop(len(loop.calls), loop.seconds, float(np.median(walls)), float(cpus.mean()))
