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
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

import msgspec

from edgefer.labels import NOBODY
from edgefer.messages import Report
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.command import run_command
from edgefer_device.sinks.content.rule import FROM_LIBRARY, LIBRARY, Publication, Rule, Situation
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.content.trigger import MoodMemory, RuleTrigger
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


class Actions:
    """Start the messages and commands of rules, each in a task of its own.

    A rule whose last command or message has not ended is not started again. `retry_seconds`
    lie between two tries of a message.
    """

    def __init__(self, broker: Broker | None, retry_seconds: float = 2.0) -> None:
        self._broker, self._retry_seconds = broker, retry_seconds
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def start(self, rule: Rule, mood: str, minutes: int = 0) -> None:
        """Start the rule's message and command, and return."""
        if rule.mqtt is not None and self._broker is not None:
            payload = fill(rule.mqtt.payload, mood, minutes)
            message = msgspec.structs.replace(rule.mqtt, payload=payload)
            self._start(("message", id(rule)), self._publish(self._broker, message))
        if rule.command:
            self._start(("command", id(rule)), _execute(rule, mood, minutes))

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


async def _execute(rule: Rule, mood: str, minutes: int) -> None:
    held = {"EDGEFER_MOOD": mood, "EDGEFER_MINUTES": str(minutes)}
    if fault := await run_command(rule.command, rule.timeout, **held):
        log.warning("content: %s", fault)


def fill(text: str, mood: str, minutes: int) -> str:
    """Return a text with its `{mood}` and `{minutes}` filled in."""
    return text.replace("{mood}", mood).replace("{minutes}", str(minutes))


class ContentSink(Sink):
    """Follow the mood through every rule."""

    def __init__(
        self,
        settings: ContentSettings,
        board: MessageBoard,
        actions: Actions,
        clock: Clock = monotonic,
        now: Callable[[], datetime] = datetime.now,
        choose: Callable[[Sequence[str]], str] = random.choice,
    ) -> None:
        """`clock` measures how long a mood holds; `now` is the local time; `choose` picks lines."""
        rules = settings.rules
        self._triggers = [RuleTrigger(rule, settings.patience) for rule in rules]
        self._memory = MoodMemory(max((rule.over for rule in rules), default=0), settings.patience)
        self._board, self._actions, self._clock, self._now = board, actions, clock, now
        self._choose = choose
        self._shown: dict[int, str] = {}

    async def __aexit__(self, *_: object) -> None:
        await self._actions.close()

    async def publish(self, report: Report) -> None:
        """Fire the rules that are due; never waits for what they start."""
        # Without a frame nobody knows whether somebody is there.
        if report.problem is not None:
            return
        mood, now, day = report.mood or NOBODY, self._clock(), self._now()
        self._memory.add(mood, now)
        for owner, trigger in enumerate(self._triggers):
            situation = trigger.update(mood, now, day, self._memory)
            if situation is not None:
                self._fire(owner, trigger.rule, situation, now)
            self._board.extend(owner, trigger.holds_until)

    def _fire(self, owner: int, rule: Rule, at: Situation, now: float) -> None:
        minutes = int(at.minutes)
        if rule.texts:
            line = self._line(owner, rule, at.mood, minutes)
            self._board.put(owner, line, now + SHOWN_SECONDS)
        self._actions.start(rule, at.mood, minutes)

    def _line(self, owner: int, rule: Rule, mood: str, minutes: int) -> Line:
        """Return one of the rule's lines, another than the last."""
        lines = entries(rule)
        others = [line for line in lines if line != self._shown.get(owner)]
        chosen = self._shown[owner] = self._choose(others or lines)
        if chosen.startswith(FROM_LIBRARY):
            return Line("", rule.link, entry=chosen.removeprefix(FROM_LIBRARY))
        named = mood if "{mood}" in chosen else None
        return Line(chosen.replace("{minutes}", str(minutes)), rule.link, named)


def entries(rule: Rule) -> list[str]:
    """Return a rule's lines; those of a set of the library as `library:NAME NUMBER`."""
    lines = []
    for text in rule.texts:
        name = text.removeprefix(FROM_LIBRARY)
        if name == text:
            lines.append(text)
        else:
            lines += [f"{text} {number}" for number in range(1, LIBRARY[name] + 1)]
    return lines
