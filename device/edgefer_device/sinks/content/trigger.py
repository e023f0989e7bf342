"""When a rule fires: by how long its mood has held, its share of the last minutes, an arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from math import inf

from edgefer.labels import NOBODY
from edgefer_device.sinks.content.rule import Rule, Situation

ABSENCE_SECONDS = 30.0
"""Without a face, after which the next one has arrived."""


class MoodMemory:
    """The moods of the last minutes, and when somebody last came; in memory only."""

    def __init__(self, minutes: float, patience: float) -> None:
        """Remember so many minutes; a mood lasts to the next one, or for `patience` seconds."""
        self._seconds, self._patience = 60 * minutes, patience
        self._spans: deque[tuple[float, float, str]] = deque()
        self._last_face = self._arrived = -inf

    def add(self, mood: str, now: float) -> None:
        """Record what is seen at a time in seconds."""
        if mood != NOBODY:
            if now - self._last_face > ABSENCE_SECONDS:
                self._arrived = now
            self._last_face = now
        begin = now
        if self._spans:
            since, last, before = self._spans.pop()
            until = min(now, last + self._patience)
            if before == mood and until == now:
                begin = since
            else:
                self._spans.append((since, until, before))
        self._spans.append((begin, now, mood))
        while self._spans[0][1] < now - self._seconds:
            self._spans.popleft()

    def share(self, applies: Callable[[str], bool], minutes: float, now: float) -> float:
        """Return for how much of the last minutes, 0..1, such moods were seen."""
        begin = now - 60 * minutes
        seen = (end - max(since, begin) for since, end, mood in self._spans if applies(mood))
        return sum(seconds for seconds in seen if seconds > 0) / (60 * minutes)

    def since_arrival(self, now: float) -> float:
        """Return the seconds since somebody came who had been away."""
        return now - self._arrived


class RuleTrigger:
    """Decide when a rule fires.

    It fires once for each time that its mood holds, when everything that it asks for is true
    and its rest is over, whichever comes last. The mood goes on holding over interruptions no
    longer than `patience` seconds.
    """

    def __init__(self, rule: Rule, patience: float) -> None:
        self.rule = rule
        self._patience = patience
        self._since = 0.0
        self._last_seen: float | None = None
        self._fired = False
        self._fired_at = -inf

    @property
    def holds_until(self) -> float:
        """When the mood stops holding unless it is seen again."""
        return 0.0 if self._last_seen is None else self._last_seen + self._patience

    def update(self, mood: str, now: float, day: datetime, memory: MoodMemory) -> Situation | None:
        """Return the situation in which to fire, or None; `now` is in seconds, `day` local."""
        if not self.rule.applies_to(mood):
            return None
        if self._last_seen is None or now > self.holds_until:
            self._since, self._fired = now, False
        self._last_seen = now
        if self._fired or now - self._fired_at < 60 * self.rule.rest:
            return None
        situation = Situation(
            mood,
            (now - self._since) / 60,
            day,
            memory.since_arrival(now),
            lambda applies, minutes: memory.share(applies, minutes, now),
        )
        if any(self.rule.refusals(situation)):
            return None
        self._fired, self._fired_at = True, now
        return situation
