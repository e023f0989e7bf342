"""What rules start beside the pipeline: messages to the broker, and commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

from edgefer_device.sinks.content.settings import Publication, Rule
from edgefer_device.sinks.mqtt.broker import Broker
from edgefer_device.system.tasks import cancel_and_wait

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
"""How long the broker may take for one message."""
TRIES = 3
"""How often a message is tried: later than this, its moment is over."""
WAIT_SECONDS = 2.0
"""Between two tries."""


class Actions:
    """Starts what rules ask for, each in a task of its own.

    A rule whose last command or message is still on its way is not started again.
    """

    def __init__(self, broker: Broker | None) -> None:
        self._broker = broker
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def start(self, rule: Rule, mood: str) -> None:
        """Begin the rule's message and command, and return."""
        if rule.mqtt is not None and self._broker is not None:
            self._begin(("message", id(rule)), _publish(self._broker, rule.mqtt))
        if rule.command:
            self._begin(("command", id(rule)), _execute(rule.command, rule.timeout, mood))

    async def close(self) -> None:
        """End what is still on its way; commands are killed."""
        await cancel_and_wait(*self._tasks.values())

    def _begin(self, key: tuple[str, int], work: Coroutine[Any, Any, None]) -> None:
        if key in self._tasks:
            work.close()
            log.warning("content: the last %s of a rule is still on its way", key[0])
            return
        self._tasks[key] = task = asyncio.create_task(work, name=f"content {key[0]}")
        task.add_done_callback(lambda _: self._tasks.pop(key, None))


async def _publish(broker: Broker, message: Publication) -> None:
    """Send one message over a connection of its own: rules fire by the minute, not the second."""
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
                log.warning("content: '%s' not sent: broker %s", message.topic, why)
                return
        await asyncio.sleep(WAIT_SECONDS)


async def _execute(command: tuple[str, ...], timeout: float, mood: str) -> None:
    """Run a program without a shell, in a process group that ends with it."""
    silence = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=silence,
            stdout=silence,
            stderr=silence,
            start_new_session=True,
            env={**os.environ, "EDGEFER_MOOD": mood},
        )
    except OSError as exc:
        log.warning("content: %s cannot be started: %s", command[0], exc.strerror)
        return
    try:
        status = await asyncio.wait_for(process.wait(), timeout)
        if status:
            log.warning("content: %s ended with status %d", command[0], status)
    except asyncio.TimeoutError:
        log.warning("content: %s did not end within %g s and was killed", command[0], timeout)
    finally:
        if process.returncode is None:
            # The group: a script that is killed alone leaves behind what it waits for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
