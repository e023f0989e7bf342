"""The sink for a broker: retained state, birth and will, and coming back after a loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

import aiomqtt
import msgspec
from typing_extensions import Self

from edgefer import __version__
from edgefer.errors import BrokerError
from edgefer.messages import Report, to_json
from edgefer_device.pipeline.control_state import ControlState
from edgefer_device.sinks.context import Shared
from edgefer_device.sinks.mqtt import discovery
from edgefer_device.sinks.mqtt.broker import Broker
from edgefer_device.sinks.mqtt.commands import OFF, ON, PRIVACY, THRESHOLD, Commands
from edgefer_device.sinks.mqtt.connection import connection, is_final, refusal
from edgefer_device.sinks.mqtt.retained_queue import Latest
from edgefer_device.sinks.mqtt.state import Diagnostics, State
from edgefer_device.system.clock import Clock
from edgefer_device.system.tasks import end
from edgefer_device.system.thermal import read_heat

log = logging.getLogger(__name__)

START_SECONDS = 2.0
"""How long the daemon's start waits for a broker that does not answer."""
FAREWELL_SECONDS = 5.0
"""How long it may take when we leave: without a farewell we would be online for ever."""
BACKOFF_SECONDS = (0.5, 8.0)
"""The first wait before connecting again, doubled up to the last: back within 10 s."""
DIAGNOSTIC_SECONDS = 30.0
"""Between two diagnostics."""


class MqttSink:
    """Keeps one connection; while there is none, or it is slow, only the latest is remembered.

    A broker that cannot be reached is tried for ever, also at the start: after a power cut
    everything starts at once. One that refuses us then is an error, since waiting would
    change nothing.
    """

    def __init__(
        self,
        broker: Broker,
        shared: Shared | None = None,
        jitter: Callable[[], float] = random.random,
        clock: Clock = time.monotonic,
    ) -> None:
        self._broker, self._jitter, self._clock = broker, jitter, clock
        self._shared = shared or Shared()
        self._settings = self._shared.config.mqtt
        self._commands = Commands(broker, self._shared.controls)
        self._latest = Latest()
        self._state: State | None = None
        self._about: discovery.About | None = None
        self._reports, self._counted_at = 0, clock()
        self._fault: str | None = "no connection to the broker"
        self._client: aiomqtt.Client | None = None
        self._held = contextlib.ExitStack()
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # It reads the model's files.
        self._about = await asyncio.to_thread(discovery.About.of, self._shared.config)
        loop = asyncio.get_running_loop()
        controls = self._shared.controls

        def tell(state: ControlState) -> None:
            # Whoever asks may do so at the very end.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take_state, state)

        self._held.callback(controls.listen(tell))
        self._tell_controls(controls.state)
        self._counted_at = self._clock()
        begun: asyncio.Future[None] = loop.create_future()
        self._keeper = asyncio.create_task(self._keep(begun), name="mqtt")
        try:
            # A keeper that goes on in vain is not waited for.
            await asyncio.wait([begun], timeout=START_SECONDS)
            if begun.done():
                begun.result()
            else:
                begun.cancel()
                log.warning("mqtt broker %s does not answer; trying again", self._broker.name)
        except BaseException:
            await self._end_keeper()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._held.close()
        client = self._client
        if client is not None:
            # The will speaks only for those who leave without a word.
            with suppress(aiomqtt.MqttError, asyncio.TimeoutError):
                await asyncio.wait_for(self._take_leave(client), FAREWELL_SECONDS)
        await self._end_keeper()

    @property
    def fault(self) -> str | None:
        """Why nothing can be published now; None while the broker takes what is said."""
        return self._fault

    async def publish(self, report: Report) -> None:
        """Have the report's state said if it is news; never waits for the broker."""
        if self._keeper is not None and self._keeper.done():
            # It ends only by an error of ours: better a new start than silence for ever.
            self._keeper.result()
        self._reports += 1
        if self._shared.controls.paused:
            # A frame from before the pause may still be on its way.
            self._say_state(State.at_rest(report.time))
        else:
            self._say_state(State.of(report))

    def _say_state(self, state: State) -> None:
        if state.is_news(self._state):
            self._state = state
            self._latest.put(self._broker.state_topic, msgspec.json.encode(state))

    def _take_state(self, state: ControlState) -> None:
        self._tell_controls(state)
        if state.paused:
            self._say_state(State.at_rest(self._state.time if self._state else 0.0))

    def _tell_controls(self, state: ControlState) -> None:
        """Say how the controls stand: Home Assistant shows what it hears here."""
        if self._settings.commands and self._about is not None:
            threshold = self._about.threshold if state.threshold is None else state.threshold
            privacy = ON if state.paused else OFF
            self._latest.put(self._broker.control_topic(PRIVACY), privacy.encode())
            self._latest.put(self._broker.control_topic(THRESHOLD), f"{threshold:g}".encode())

    async def _keep(self, begun: asyncio.Future[None]) -> None:
        """Hold the connection, and make it again after a loss."""
        wait = BACKOFF_SECONDS[0]
        while True:
            try:
                async with connection(self._broker, self._will) as client:
                    await self._greet(client)
                    self._client, self._fault, wait = client, None, BACKOFF_SECONDS[0]
                    if not begun.done():
                        begun.set_result(None)
                    await self._converse(client)
            except aiomqtt.MqttError as exc:
                if not begun.done() and is_final(exc):
                    why = f"mqtt broker {self._broker.name} {refusal(exc)}"
                    begun.set_exception(BrokerError(why))
                    return
                self._warn(exc, first=not begun.done())
                if not begun.done():
                    begun.set_result(None)
            finally:
                self._client = None
            # Jitter, so that many mirrors do not come back in the same moment.
            await asyncio.sleep(wait * (1 + self._jitter()) / 2)
            wait = min(2 * wait, BACKOFF_SECONDS[1])

    def _warn(self, error: aiomqtt.MqttError, first: bool) -> None:
        """Say once that there is no connection, and why; `trouble` says it all the time."""
        if self._client is not None:
            # Why is not known: paho calls every end of a connection an unspecified error.
            log.warning("mqtt broker %s lost; connecting again", self._broker.name)
            self._fault = "the broker was lost"
            return
        if first:
            log.warning("mqtt broker %s %s; trying again", self._broker.name, refusal(error))
        self._fault = f"the broker {refusal(error)}"

    @property
    def _will(self) -> aiomqtt.Will:
        topic = self._broker.availability_topic
        return aiomqtt.Will(topic, "offline", self._broker.qos, retain=True)

    async def _greet(self, client: aiomqtt.Client) -> None:
        """Listen for commands, say that we are here, and have all said again."""
        for topic in self._heard:
            await client.subscribe(topic, qos=1)
        await self._say(client, self._broker.availability_topic, b"online")
        self._latest.again()
        self._tell_home_assistant()

    @property
    def _heard(self) -> list[str]:
        """The topics that we listen to."""
        status = [self._status_topic] if self._settings.discovery else []
        return [*status, *(self._commands.topics if self._settings.commands else ())]

    @property
    def _status_topic(self) -> str:
        return f"{self._settings.discovery}/status"

    def _tell_home_assistant(self) -> None:
        if self._settings.discovery and self._about is not None:
            told = discovery.message(
                self._broker, self._settings.name, self._about, self._settings.commands
            )
            topic = discovery.topic(self._settings.discovery, self._broker)
            self._latest.put(topic, msgspec.json.encode(told))

    async def _tell_diagnostics(self) -> None:
        # On some boards it asks a program.
        heat = await asyncio.to_thread(read_heat)
        now, about = self._clock(), self._about
        passed = now - self._counted_at
        rate = round(self._reports / passed, 1) if passed > 0 else 0.0
        self._reports, self._counted_at = 0, now
        inference, model = self._shared.health.inference_ms, about.model if about else ""
        told = Diagnostics(rate, inference, heat.celsius, model, __version__)
        self._latest.put(self._broker.diagnostics_topic, to_json(told).encode())

    async def _converse(self, client: aiomqtt.Client) -> None:
        """Talk and listen until the broker goes, which is raised."""
        works = (self._talk(client), self._hear(client), self._diagnose())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(*tasks)

    async def _talk(self, client: aiomqtt.Client) -> None:
        """Say what is new, one after the other."""
        while True:
            try:
                await self._say(client, *await self._latest.take())
                self._fault = None
            except aiomqtt.MqttError:
                # Slow, or lost; a loss is seen by who listens.
                self._fault = "the broker does not answer"

    async def _hear(self, client: aiomqtt.Client) -> None:
        """Obey; raises when the broker goes."""
        async for message in client.messages:
            topic, retained = str(message.topic), bool(message.retain)
            payload = message.payload if isinstance(message.payload, bytes) else b""
            if topic == self._status_topic:
                # One that is retained speaks of a time when we were not there to be missed.
                if payload == b"online" and not retained:
                    self._tell_home_assistant()
                    self._latest.again()
            elif self._commands.obey(topic, payload, retained) is not None:
                # Also what was refused is answered: a slider must spring back.
                self._tell_controls(self._shared.controls.state)

    async def _diagnose(self) -> None:
        while True:
            await self._tell_diagnostics()
            await asyncio.sleep(DIAGNOSTIC_SECONDS)

    async def _say(self, client: aiomqtt.Client, topic: str, payload: bytes) -> None:
        await client.publish(topic, payload, self._broker.qos, retain=True)

    async def _take_leave(self, client: aiomqtt.Client) -> None:
        """Say what is left to say, and that we go."""
        await self._latest.emptied()
        await self._say(client, self._broker.availability_topic, b"offline")

    async def _end_keeper(self) -> None:
        if self._keeper is not None:
            await end(self._keeper)
            self._keeper = None
