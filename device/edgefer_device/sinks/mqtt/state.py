"""Payloads on the broker: state, event, diagnostics; the queue of the newest for each topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from edgefer.messages import Report
from edgefer_device.sinks.mqtt.discovery import shown

STEP = 0.05
"""A confidence this far from the one published is news."""


class State(msgspec.Struct, frozen=True):
    """Payload of `TOPIC/state`."""

    mood: str | None
    """None when there is no face."""
    confidence: float | None
    """Filtered probability of `mood`, 0..1."""
    faces: int
    time: float
    """Seconds on the camera's clock."""
    reason: str | None = None
    """Why the mood is `unknown`; None when it is not."""
    problem: str | None = None
    """Why nothing can be seen; None while frames come."""
    paused: bool = False
    """Whether the camera is closed on request."""

    @classmethod
    def of(cls, report: Report) -> State:
        """Return the state that a report shows."""
        confidence = None if report.confidence is None else round(report.confidence, 3)
        faces, time = len(report.faces), round(report.time, 3)
        return cls(report.mood, confidence, faces, time, report.reason, report.problem)

    @classmethod
    def when_paused(cls, time: float) -> State:
        """Return the state while paused."""
        return cls(None, None, 0, time, paused=True)

    @property
    def sees(self) -> bool:
        """Whether the camera gives pictures."""
        return self.problem is None and not self.paused

    def is_news(self, before: State | None) -> bool:
        """Return whether to publish this after `before`."""
        if before is None or self._key() != before._key():
            return True
        return abs((self.confidence or 0) - (before.confidence or 0)) >= STEP

    def _key(self) -> tuple[object, ...]:
        """Return what is news whenever it changes; a problem's text counts seconds."""
        return self.mood, self.faces, self.reason, self.problem is None, self.paused


class Change(msgspec.Struct, frozen=True):
    """Payload of `TOPIC/event`, never retained: what is retained would happen again."""

    event_type: str
    """The new mood, in Home Assistant's words."""
    before: str
    confidence: float | None

    @classmethod
    def between(cls, before: State, now: State) -> Change | None:
        """Return the change from one state to the next; None where both show the same or none."""
        if not (before.sees and now.sees) or before.mood == now.mood:
            return None
        return cls(shown(now.mood), shown(before.mood), now.confidence)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to the broker."""

    topic: str
    payload: bytes
    retain: bool = True


class OutgoingQueue:
    """Keep the newest message of each topic: a slow broker misses older ones, never the last.

    One task puts, another takes, both in the same loop.
    """

    def __init__(self) -> None:
        self._retained: dict[str, Outgoing] = {}
        self._pending: dict[str, Outgoing] = {}
        self._changed, self._drained = asyncio.Event(), asyncio.Event()

    def put(self, topic: str, payload: bytes, retain: bool = True) -> None:
        """Replace a topic's message and queue it, even if it is the same."""
        message = Outgoing(topic, payload, retain)
        if retain:
            self._retained[topic] = message
        self._queue({topic: message})

    def republish(self) -> None:
        """Queue all that is retained again, in order: the broker may have lost it."""
        self._pending.clear()
        self._queue(self._retained)

    def _queue(self, messages: Mapping[str, Outgoing]) -> None:
        self._pending |= messages
        self._drained.clear()
        self._changed.set()

    async def take(self) -> Outgoing:
        """Wait for a queued message and return it; the one before is published."""
        while not self._pending:
            self._drained.set()
            self._changed.clear()
            await self._changed.wait()
        return self._pending.pop(next(iter(self._pending)))

    async def drained(self) -> None:
        """Wait until everything is published."""
        await self._drained.wait()


class RateGate:
    """Let an action run so many times a second at most; what is asked for between runs once, later.

    Lives in one loop.
    """

    def __init__(self, rate: float, action: Callable[[], None]) -> None:
        self._wait, self._action = 1 / rate, action
        self._last = -self._wait
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, at_once: bool = False) -> None:
        """Run the action when it is due, or `at_once`."""
        loop = asyncio.get_running_loop()
        due = self._last + self._wait
        if at_once or loop.time() >= due:
            self._run()
        elif self._timer is None:
            self._timer = loop.call_at(due, self._run)

    def flush(self) -> None:
        """Run now what waits."""
        if self._timer is not None:
            self._run()

    def close(self) -> None:
        """Run nothing that waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self.close()
        self._last = asyncio.get_running_loop().time()
        self._action()
