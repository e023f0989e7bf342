"""Calls timed in loops, which are made of turns: a slow while meets all things alike.

Nothing but a quiet machine makes a median come again. What other work has left alone does: some of
the many short turns of a thing, spread over all of the bench.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer_device.bench.result import FOR_P99, Timing, Turn, timing_of

WARM_UP = 30
"""Calls before the first of a turn that counts: caches, clocks and lazy set-up."""
LEAST_WARM_UP = 3
"""Of slow calls, whose warm-up ends after the time of a turn."""
LOOPS = 5
"""The least with which five against five can differ significantly: 2 of 252 orders."""
SECONDS, SHORT_SECONDS = 10.0, 0.3
TURN = 2.0
"""Seconds of a turn: long beside a warm-up, short beside how long a neighbour is quiet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each thing is measured."""

    seconds: float = SECONDS
    """Of a loop."""
    short: bool = False
    """Whether percentiles that are not reached are left out in place of refused."""
    loops: int = LOOPS

    @property
    def turns(self) -> int:
        """How many turns a loop is made of."""
        return max(1, round(self.seconds / TURN))

    @property
    def turn(self) -> float:
        """Seconds of a turn."""
        return self.seconds / self.turns

    def part(self, share: float) -> Plan:
        """Return the plan for one of many things, which gets only a share of the time."""
        return Plan(self.seconds * share, True, self.loops)


class TurnClock:
    """One turn: calls that follow each other, divided into a warm-up and those that count."""

    def __init__(
        self, what: str, plan: Plan, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._what, self._plan, self._clock = what, plan, clock
        self._begun, self._warm_up = clock(), 0
        self.counts = False
        """Whether the warm-up is past and the turn is not done."""
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
    """A turn's calls of one kind; as a context manager it times what is done within."""

    def __init__(self, what: str, turn: TurnClock) -> None:
        self.what, self._turn = what, turn
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
        if self._turn.counts:
            self.calls.append(self.latest)


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is timed."""

    what: str
    run: Callable[[TurnClock], Iterable[Series]]
    """Calls it until the turn is done; returns what was noted, one series for each figure."""


def in_turns(things: Sequence[Thing], plan: Plan, description: str) -> list[Timing]:
    """Time things, turn by turn, behind a bar; leave out what was never called."""
    held: dict[str, list[Turn]] = {}
    for thing in track([*things] * (plan.loops * plan.turns), description):
        turn = TurnClock(thing.what, plan)
        for series in thing.run(turn):
            held.setdefault(series.what, []).append(Turn(series.calls, turn.seconds))
    timings = [timing_of(what, turns, plan.turns) for what, turns in held.items()]
    return [timing for timing in timings if timing]


def calling(what: str, call: Callable[[], object]) -> Thing:
    """Return a call as a thing of its own."""

    def run(turn: TurnClock) -> Iterable[Series]:
        series = Series(what, turn)
        while not turn.done:
            with series:
                call()
            turn.ended()
        return [series]

    return Thing(what, run)
