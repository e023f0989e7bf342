"""The sink for a broker: retained state, birth and will, and reconnecting after a loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiomqtt
import msgspec
from typing_extensions import Self

from edgefer.errors import BrokerError
from edgefer.messages import Report, to_json
from edgefer_device.pipeline.control_state import Controls, ControlState
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.mqtt import discovery
from edgefer_device.sinks.mqtt.broker import Broker, MqttSettings, risks
from edgefer_device.sinks.mqtt.commands import OFF, ON, PRIVACY, THRESHOLD, Commands
from edgefer_device.sinks.mqtt.connection import TIMEOUT_SECONDS, connection, is_final, refusal
from edgefer_device.sinks.mqtt.diagnostics import Measurements, Rival
from edgefer_device.sinks.mqtt.state import Change, Outgoing, OutgoingQueue, RateGate, State
from edgefer_device.sinks.mqtt.summary import MoodSums
from edgefer_device.system.backoff import Backoff
from edgefer_device.system.clock import Clock
from edgefer_device.system.tasks import cancel_and_wait

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the sink waits for what, in seconds."""

    start: float = 2.0
    """For a broker that does not answer when the daemon starts."""
    farewell: float = 5.0
    """For the last messages: without `offline` we would be online for ever."""
    answer: float = TIMEOUT_SECONDS
    """For each answer of the broker."""
    reconnect: tuple[float, float] = (0.5, 8.0)
    """Before the first and the last attempt to reconnect: back within 10 s."""
    diagnostics: float = 30.0
    """Between two diagnostics."""


class MqttSink:
    """Keep one connection; while there is none, or it is slow, only the latest is remembered.

    A broker that cannot be reached is tried for ever, also at the start: after a power cut
    everything starts at once. One that refuses us then is an error, since waiting would
    change nothing.
    """

    def __init__(  # noqa: PLR0913 - each part has its own owner
        self,
        broker: Broker,
        settings: MqttSettings | None = None,
        device: discovery.DeviceInfo | None = None,
        controls: Controls | None = None,
        health: Health | None = None,
        *,
        timing: Timing | None = None,
        jitter: Callable[[], float] | None = random.random,
        clock: Clock = time.monotonic,
    ) -> None:
        self._broker, self._settings = broker, settings or MqttSettings()
        self._device = device or discovery.DeviceInfo()
        self._controls = controls or Controls()
        self._timing, self._clock = timing or Timing(), clock
        self._backoff = Backoff(*self._timing.reconnect, jitter)
        self._commands = Commands(broker, self._controls)
        self._queue = OutgoingQueue()
        self._state: State | None = None
        """The newest."""
        self._told: State | None = None
        """The last that was queued."""
        self._due = RateGate(self._settings.max_rate, self._queue_state)
        self._rival = Rival(broker.prefix)
        self._sums = MoodSums(clock)
        self._measured = Measurements(self._device.model, health or Health(), clock)
        self._client: aiomqtt.Client | None = None
        self._online = False
        self._unsubscribe: Callable[[], None] = lambda: None
        self._connection: asyncio.Task[None] | None = None
        self.fault: str | None = "no connection to the broker"
        """Why nothing can be published now; None while the broker takes messages."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for risk in risks(self._broker, self._settings):
            log.warning("mqtt broker %s: %s", self._broker.name, risk)

        def on_change(state: ControlState) -> None:
            # Changes may come when the loop has ended.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_change, state)

        self._unsubscribe = self._controls.listen(on_change)
        self._publish_discovery()
        self._on_change(self._controls.state)
        self._measured.start()
        connected: asyncio.Future[None] = loop.create_future()
        self._connection = asyncio.create_task(self._keep_connected(connected), name="mqtt")
        try:
            await asyncio.wait([connected], timeout=self._timing.start)
            if connected.done():
                connected.result()
            else:
                connected.cancel()
                log.warning("mqtt broker %s does not answer; trying again", self._broker.name)
        except BaseException:
            await self._disconnect()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._unsubscribe()
        if (client := self._client) is not None:
            # The will is published only for those who leave without a word.
            with contextlib.suppress(aiomqtt.MqttError, asyncio.TimeoutError):
                await asyncio.wait_for(self._announce_offline(client), self._timing.farewell)
        await self._disconnect()

    async def publish(self, report: Report) -> None:
        """Queue the report's state if it is news; never waits for the broker."""
        if self._connection is not None and self._connection.done():
            # It ends only by an error of ours: better a restart than silence for ever.
            self._connection.result()
        self._measured.count()
        self._sums.add(report)
        # While paused, a frame from before may still be on its way.
        paused = self._controls.paused
        self._publish_state(State.when_paused(report.time) if paused else State.of(report))

    def _publish_state(self, state: State) -> None:
        if state.is_news(self._state):
            self._state = state
            self._due.ask(at_once=state.paused)

    def _queue_state(self) -> None:
        """Queue the newest state, and behind the first one that we are online.

        The other way round the state that is retained from another day would count again.
        """
        state, before = self._state, self._told
        assert state is not None, "asked for with one"
        self._told = state
        self._queue.put(self._broker.topic("state"), msgspec.json.encode(state))
        if before is not None and (change := Change.between(before, state)):
            self._queue.put(self._broker.topic("event"), msgspec.json.encode(change), retain=False)
        if not self._online:
            self._online = True
            self._queue.put(self._availability, b"online")

    def _on_change(self, state: ControlState) -> None:
        self._publish_controls(state)
        if state.paused:
            self._publish_state(State.when_paused(self._state.time if self._state else 0.0))

    def _publish_controls(self, state: ControlState) -> None:
        """Queue the controls' states: Home Assistant shows what it receives here."""
        if self._settings.commands:
            threshold = self._device.threshold if state.threshold is None else state.threshold
            privacy = ON if state.paused else OFF
            self._queue.put(self._broker.topic(PRIVACY), privacy.encode())
            self._queue.put(self._broker.topic(THRESHOLD), f"{threshold:g}".encode())

    async def _keep_connected(self, connected: asyncio.Future[None]) -> None:
        """Hold the connection, and reconnect after a loss."""
        while True:
            since: float | None = None
            try:
                async with connection(
                    self._broker, self._will, self._timing.answer, self._broker.client
                ) as client:
                    await self._on_connect(client)
                    self._client, self.fault, since = client, None, self._clock()
                    log.info("mqtt broker %s connected", self._broker.name)
                    if not connected.done():
                        connected.set_result(None)
                    await self._serve(client)
            except aiomqtt.MqttError as exc:
                if not connected.done() and is_final(exc):
                    why = f"mqtt broker {self._broker.name} {refusal(exc)}"
                    connected.set_exception(BrokerError(why))
                    return
                self._warn(exc, first=not connected.done())
                if not connected.done():
                    connected.set_result(None)
            finally:
                self._client = None
            # One that ends us each time, by what it sends, is not to be met again at once.
            if since is not None and self._clock() - since >= self._backoff.limit:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.next())

    def _warn(self, error: aiomqtt.MqttError, first: bool) -> None:
        """Log once that there is no connection, and why; keep `fault` up to date."""
        if self._client is not None:
            # The reason is unknown: paho calls every end of a connection an unspecified error.
            log.warning("mqtt broker %s lost; connecting again", self._broker.name)
            self.fault = "the broker was lost"
            return
        if first:
            log.warning("mqtt broker %s %s; trying again", self._broker.name, refusal(error))
        self.fault = f"the broker {refusal(error)}"

    @property
    def _will(self) -> aiomqtt.Will:
        return aiomqtt.Will(self._availability, "offline", self._broker.qos, retain=True)

    @property
    def _availability(self) -> str:
        return self._broker.topic("availability")

    async def _on_connect(self, client: aiomqtt.Client) -> None:
        """Subscribe, and publish everything again."""
        topics = [self._availability, self._broker.topic("diagnostics")]
        topics += [self._status_topic] if self._settings.discovery else []
        topics += self._commands.topics if self._settings.commands else ()
        for topic in topics:
            await client.subscribe(topic, qos=1)
        self._due.flush()
        self._queue.republish()

    @property
    def _status_topic(self) -> str:
        return f"{self._settings.discovery}/status"

    def _publish_discovery(self) -> None:
        settings = self._settings
        if settings.discovery:
            message = discovery.message(
                self._broker, settings.name, self._device, settings.commands
            )
            topic = discovery.topic(settings.discovery, self._broker)
            self._queue.put(topic, msgspec.json.encode(message))

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Publish and receive until the broker is lost, which is raised."""
        loops = (self._publish_loop(client), self._command_loop(client), self._diagnostics_loop())
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await cancel_and_wait(*tasks)

    async def _publish_loop(self, client: aiomqtt.Client) -> None:
        while True:
            try:
                await self._send(client, await self._queue.take())
                self.fault = None
            except aiomqtt.MqttError:
                # Slow, or lost; a loss is noticed by the command loop.
                self.fault = "the broker does not answer"

    async def _command_loop(self, client: aiomqtt.Client) -> None:
        """Carry out commands; raises when the broker is lost."""
        async for message in client.messages:
            topic, retained = str(message.topic), bool(message.retain)
            payload = message.payload if isinstance(message.payload, bytes) else b""
            if topic == self._status_topic:
                # A retained one is from a time when we were not connected.
                if payload == b"online" and not retained:
                    self._queue.republish()
            elif topic == self._availability:
                self._answer_will(payload, retained)
            elif topic == self._broker.topic("diagnostics"):
                self._rival.hear(payload)
            elif self._commands.handle(topic, payload, retained):
                # Also after a refused command: a slider must spring back.
                self._publish_controls(self._controls.state)

    def _answer_will(self, payload: bytes, retained: bool) -> None:
        """Say again that we are online, when an old connection's end says otherwise."""
        if payload == b"offline" and not retained and self._online:
            log.info("mqtt broker %s: an older connection's end arrived late", self._broker.name)
            self._queue.put(self._availability, b"online")

    async def _diagnostics_loop(self) -> None:
        while True:
            measured = await self._measured.diagnostics(self._rival.instance)
            self._queue.put(self._broker.topic("diagnostics"), to_json(measured).encode())
            summary = msgspec.json.encode(self._sums.summary())
            self._queue.put(self._broker.topic("summary"), summary)
            await asyncio.sleep(self._timing.diagnostics)

    async def _send(self, client: aiomqtt.Client, message: Outgoing) -> None:
        await client.publish(
            message.topic, message.payload, self._broker.qos, retain=message.retain
        )

    async def _announce_offline(self, client: aiomqtt.Client) -> None:
        self._due.flush()
        await self._queue.drained()
        self._online = False
        await self._send(client, Outgoing(self._availability, b"offline"))

    async def _disconnect(self) -> None:
        self._due.close()
        if self._connection is not None:
            await cancel_and_wait(self._connection)
            self._connection = None
