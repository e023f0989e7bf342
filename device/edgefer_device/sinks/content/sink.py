"""Content rules: when a mood holds, show a line, publish a message or start a command.

[[content.rule]]
mood = "happy"
from = "06:00"
to = "10:00"
minutes = 2.0
text = "Good morning"
mqtt = { topic = "home/scene", payload = "sunrise" }
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, time
from time import monotonic
from typing import Any

from edgefer.labels import NOBODY
from edgefer.messages import Report
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.command import run_command
from edgefer_device.sinks.content.settings import ContentSettings, Publication, Rule
from edgefer_device.sinks.message_board import Line, MessageBoard
from edgefer_device.sinks.mqtt.broker import Broker
from edgefer_device.system.clock import Clock
from edgefer_device.system.tasks import cancel_and_wait

log = logging.getLogger(__name__)

SHOWN_SECONDS = 30.0
"""How long a line is shown at least; it stays while its mood holds."""
TIMEOUT_SECONDS = 5.0
"""For each answer of the broker."""
TRIES = 3
"""How often a message is tried: later than this, its moment is over."""


class RuleTrigger:
    """Decide when a rule fires, by how long its mood has held.

    It fires once for each time that the mood holds, when that has lasted long enough, the
    time of day is right and its rest is over, whichever comes last. The mood goes on
    holding over interruptions no longer than `patience` seconds.
    """

    def __init__(self, rule: Rule, patience: float) -> None:
        self.rule = rule
        self._patience = patience
        self._since = 0.0
        self._last_seen: float | None = None
        self._fired = False
        self._fired_at: float | None = None

    @property
    def holds_until(self) -> float:
        """When the mood stops holding unless it is seen again."""
        return 0.0 if self._last_seen is None else self._last_seen + self._patience

    def update(self, mood: str, now: float, day: time) -> bool:
        """Return whether to fire; `now` is in seconds, `day` the local time of day."""
        if not self.rule.applies_to(mood):
            return False
        if self._last_seen is None or now > self.holds_until:
            self._since, self._fired = now, False
        self._last_seen = now
        if self._fired or now - self._since < 60 * self.rule.minutes or not self.rule.covers(day):
            return False
        if self._fired_at is not None and now - self._fired_at < 60 * self.rule.rest:
            return False
        self._fired, self._fired_at = True, now
        return True


class Actions:
    """Start the messages and commands of rules, each in a task of its own.

    A rule whose last command or message has not ended is not started again. `retry_seconds`
    lie between two tries of a message.
    """

    def __init__(self, broker: Broker | None, retry_seconds: float = 2.0) -> None:
        self._broker, self._retry_seconds = broker, retry_seconds
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def start(self, rule: Rule, mood: str) -> None:
        """Start the rule's message and command, and return."""
        if rule.mqtt is not None and self._broker is not None:
            self._start(("message", id(rule)), self._publish(self._broker, rule.mqtt))
        if rule.command:
            self._start(("command", id(rule)), _execute(rule, mood))

    async def close(self) -> None:
        """Cancel what has not ended; commands are killed."""
        await cancel_and_wait(*self._tasks.values())

    def _start(self, key: tuple[str, int], work: Coroutine[Any, Any, None]) -> None:
        if key in self._tasks:
            work.close()
            log.warning("content: the last %s of a rule has not ended yet", key[0])
            return
        self._tasks[key] = task = asyncio.create_task(work, name=f"content {key[0]}")
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _publish(self, broker: Broker, message: Publication) -> None:
        """Publish over a connection of its own: rules fire by the minute, not the second."""
        import aiomqtt

        from edgefer_device.sinks.mqtt.connection import connection, refusal

        for left in reversed(range(TRIES)):
            try:
                async with connection(broker, timeout=TIMEOUT_SECONDS) as client:
                    await client.publish(message.topic, message.payload, broker.qos, message.retain)
                    return
            except aiomqtt.MqttError as exc:
                if not left:
                    why = f"{broker.name} {refusal(exc)}"
                    log.warning("content: '%s' not published: broker %s", message.topic, why)
                    return
            await asyncio.sleep(self._retry_seconds)


async def _execute(rule: Rule, mood: str) -> None:
    if fault := await run_command(rule.command, rule.timeout, EDGEFER_MOOD=mood):
        log.warning("content: %s", fault)


class ContentSink(Sink):
    """Follow the mood through every rule."""

    def __init__(
        self,
        settings: ContentSettings,
        board: MessageBoard,
        actions: Actions,
        clock: Clock = monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`clock` measures how long a mood holds; `now` is the local time of day."""
        self._triggers = [RuleTrigger(rule, settings.patience) for rule in settings.rule]
        self._board, self._actions, self._clock, self._now = board, actions, clock, now

    async def __aexit__(self, *_: object) -> None:
        await self._actions.close()

    async def publish(self, report: Report) -> None:
        """Fire the rules that are due; never waits for what they start."""
        # Without a frame nobody knows whether somebody is there.
        if report.problem is not None:
            return
        mood, now, day = report.mood or NOBODY, self._clock(), self._now().time()
        for owner, trigger in enumerate(self._triggers):
            if trigger.update(mood, now, day):
                self._fire(owner, trigger.rule, mood, now)
            self._board.extend(owner, trigger.holds_until)

    def _fire(self, owner: int, rule: Rule, mood: str, now: float) -> None:
        if rule.text:
            self._board.put(owner, Line(rule.text, rule.link), now + SHOWN_SECONDS)
        self._actions.start(rule, mood)
