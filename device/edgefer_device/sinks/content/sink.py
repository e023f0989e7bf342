"""What a mood brings with it: rules that put up a line, tell the broker or start a command.

[[content.rule]]
mood = "happy"
from = "06:00"
to = "10:00"
minutes = 2.0
text = "Good morning"
mqtt = { topic = "home/scene", payload = "sunrise" }
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from time import monotonic
from typing import Protocol

from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.sinks.content.settings import NOBODY, ContentSettings, Rule
from edgefer_device.sinks.message_board import Line, MessageBoard
from edgefer_device.system.clock import Clock

SHOWN_SECONDS = 30.0
"""How long a line stands at least; it goes on standing while its mood holds."""


class Actor(Protocol):
    """Does what a rule asks for; `start` returns at once."""

    def start(self, rule: Rule, mood: str) -> None:
        """Begin the rule's message and command."""
        ...

    async def close(self) -> None:
        """End what is still on its way."""
        ...


class Holding:
    """One rule and for how long its mood has held.

    It fires once for each time that the mood holds, when that has lasted long enough, the
    time of day is right and its rest is over, whichever comes last. The mood goes on
    holding over interruptions no longer than `patience` seconds.
    """

    def __init__(self, rule: Rule, patience: float) -> None:
        self.rule = rule
        self._patience = patience
        self._since = 0.0
        self._seen: float | None = None
        self._fired = False
        self._fired_at: float | None = None

    @property
    def holds_until(self) -> float:
        """When the mood will have ceased to hold, if it is not seen again."""
        return 0.0 if self._seen is None else self._seen + self._patience

    def update(self, mood: str, now: float, day: time) -> bool:
        """Take what is seen now, at a time in seconds and of the day; return whether to fire."""
        if not self.rule.is_about(mood):
            return False
        if self._seen is None or now > self.holds_until:
            self._since, self._fired = now, False
        self._seen = now
        if self._fired or now - self._since < 60 * self.rule.minutes or not self.rule.covers(day):
            return False
        if self._fired_at is not None and now - self._fired_at < 60 * self.rule.rest:
            return False
        self._fired, self._fired_at = True, now
        return True


class ContentSink:
    """Follows the mood through every rule."""

    def __init__(
        self,
        settings: ContentSettings,
        board: MessageBoard,
        actor: Actor,
        clock: Clock = monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`clock` measures how long a mood holds; `now` is the local time of day."""
        self._holdings = [Holding(rule, settings.patience) for rule in settings.rule]
        self._board, self._actor, self._clock, self._now = board, actor, clock, now

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._actor.close()

    async def publish(self, report: Report) -> None:
        """Fire the rules whose time has come; never waits for what they start."""
        if report.problem is not None:
            # Nobody in view and no picture to see anybody in are two things.
            return
        mood, now, day = report.mood or NOBODY, self._clock(), self._now().time()
        for number, holding in enumerate(self._holdings):
            owner = str(number)
            if holding.update(mood, now, day):
                self._fire(owner, holding.rule, mood, now)
            self._board.extend(owner, holding.holds_until)

    def _fire(self, owner: str, rule: Rule, mood: str, now: float) -> None:
        if rule.text:
            self._board.put(owner, Line(rule.text, rule.link), now + SHOWN_SECONDS)
        self._actor.start(rule, mood)
