"""`mqtt:`, the mood on a broker: retained state, birth and will, and coming back after a loss."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

import aiomqtt
import msgspec
from aiomqtt.exceptions import MqttConnectError
from typing_extensions import Self

from edgefer.errors import SinkError
from edgefer.messages import Report
from edgefer_device.broker import Broker

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
"""How long the broker may take to answer."""
FAREWELL_SECONDS = 1.0
"""How long it may take when we leave."""
KEEPALIVE_SECONDS = 15
"""How often silence is broken; a broker that vanished is missed after one and a half of these."""
BACKOFF_SECONDS = (0.5, 30.0)
"""The first wait before connecting again, doubled up to the last."""
STEP = 0.05
"""A confidence this far from the one published is worth saying."""
INTERVAL_SECONDS = 0.5
"""Least time between two states that differ in confidence alone, on the camera's clock."""
QOS = 1


class State(msgspec.Struct, frozen=True):
    """What stands at `TOPIC/state`."""

    mood: str | None
    """None when there is no face."""
    confidence: float | None
    """Smoothed probability of `mood`, 0..1."""
    faces: int
    time: float
    """Seconds on the camera's clock."""

    @classmethod
    def of(cls, report: Report) -> State:
        """Return what a report says, in short."""
        confidence = None if report.confidence is None else round(report.confidence, 3)
        return cls(report.mood, confidence, len(report.faces), round(report.time, 3))

    def is_news(self, before: State | None) -> bool:
        """Whether to say this, given what was said before."""
        if before is None or (self.mood, self.faces) != (before.mood, before.faces):
            return True
        moved = abs((self.confidence or 0) - (before.confidence or 0)) >= STEP
        return moved and self.time - before.time >= INTERVAL_SECONDS


class MqttSink:
    """Keeps one connection; while there is none, only the latest state is remembered."""

    def __init__(self, broker: Broker, jitter: Callable[[], float] = random.random) -> None:
        self._broker, self._jitter = broker, jitter
        self._state: State | None = None
        self._client: aiomqtt.Client | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        connected = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(connected))
        try:
            await connected
        except BaseException:
            await self._end_keeper()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            # The will speaks only for those who leave without a word.
            with suppress(aiomqtt.MqttError):
                topic = self._broker.availability_topic
                await self._client.publish(topic, "offline", QOS, True, timeout=FAREWELL_SECONDS)
        await self._end_keeper()

    @property
    def trouble(self) -> str | None:
        """Why nothing can be published now; None while the broker is there."""
        return None if self._client is not None else "no connection to the broker"

    async def publish(self, report: Report) -> None:
        """Publish the report's state if it is news; without a connection it is kept for later."""
        state = State.of(report)
        if not state.is_news(self._state):
            return
        self._state = state
        if self._client is not None:
            # A loss is the keeper's to see: it says the latest state again.
            with suppress(aiomqtt.MqttError):
                await self._say_state(self._client)

    async def _keep(self, connected: asyncio.Future[None]) -> None:
        """Hold the connection, and make it again after a loss; the first must succeed."""
        wait = BACKOFF_SECONDS[0]
        while True:
            try:
                async with self._new_client() as client:
                    await self._greet(client)
                    self._client, wait = client, BACKOFF_SECONDS[0]
                    if not connected.done():
                        connected.set_result(None)
                    async for _ in client.messages:
                        """Nothing is subscribed to; this ends by raising when the broker goes."""
            except aiomqtt.MqttError as exc:
                if not connected.done():
                    reason = f"mqtt broker {self._broker.name} {_refusal(exc)}"
                    connected.set_exception(SinkError(reason))
                    return
                if self._client is not None:
                    why = exc.__cause__ or exc
                    log.warning(
                        "mqtt broker %s lost (%s); connecting again", self._broker.name, why
                    )
            finally:
                self._client = None
            # Jitter, so that many mirrors do not come back in the same moment.
            await asyncio.sleep(wait * (1 + self._jitter()) / 2)
            wait = min(2 * wait, BACKOFF_SECONDS[1])

    def _new_client(self) -> aiomqtt.Client:
        broker = self._broker
        will = aiomqtt.Will(broker.availability_topic, "offline", QOS, retain=True)
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            will=will,
            timeout=TIMEOUT_SECONDS,
            keepalive=KEEPALIVE_SECONDS,
        )

    async def _greet(self, client: aiomqtt.Client) -> None:
        """Say that we are here, and what was the last to be said."""
        await self._say(client, self._broker.availability_topic, "online")
        await self._say_state(client)

    async def _say_state(self, client: aiomqtt.Client) -> None:
        if self._state is not None:
            text = msgspec.json.encode(self._state)
            await self._say(client, self._broker.state_topic, text)

    async def _say(self, client: aiomqtt.Client, topic: str, text: str | bytes) -> None:
        await client.publish(topic, text, QOS, retain=True)

    async def _end_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None


def _refusal(error: aiomqtt.MqttError) -> str:
    """Return in words why no connection came about."""
    if isinstance(error, MqttConnectError):
        # The text is `[code:135] Not authorized`.
        return f"refuses: {str(error).partition('] ')[2]}"
    return f"cannot be reached: {error}"
