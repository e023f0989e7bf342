"""MQTT against a real Mosquitto: what stands on the broker, and what happens without it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest

from edgefer.errors import SinkError
from edgefer.messages import Report
from edgefer_device.broker import Broker, parse_broker
from edgefer_device.mqtt import MqttSink, State
from mosquitto import Mosquitto, free_port

PREFIX = "home/mirror"
SECONDS = 20.0
"""Time after which a test gives up on a message."""


def report(mood: str | None, confidence: float | None = 0.8, time: float = 0.0) -> Report:
    return Report(time, round(10 * time), (), mood, None if mood is None else confidence)


def address(mosquitto: Mosquitto) -> Broker:
    return parse_broker(f"mqtt://127.0.0.1:{mosquitto.port}/{PREFIX}")


class Listener:
    """Reads what is published under the prefix."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._messages = client.messages

    async def next(self) -> tuple[str, Any, bool]:
        """Topic without the prefix, payload, and whether it stood there before."""
        message = await asyncio.wait_for(anext(aiter(self._messages)), SECONDS)
        assert isinstance(message.payload, bytes)
        text = message.payload.decode()
        topic = str(message.topic).removeprefix(f"{PREFIX}/")
        return topic, json.loads(text) if topic == "state" else text, message.retain

    async def until(self, topic: str, value: object) -> None:
        while (await self.next())[:2] != (topic, value):
            pass


@asynccontextmanager
async def listening(mosquitto: Mosquitto) -> AsyncIterator[Listener]:
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.subscribe(f"{PREFIX}/#", qos=1)
        yield Listener(client)


def test_the_mood_and_our_presence_are_published(broker: Mosquitto) -> None:
    async def whole() -> list[tuple[str, Any, bool]]:
        async with listening(broker) as listener:
            async with MqttSink(address(broker)) as sink:
                await sink.publish(report("happy", 0.8123456, time=1.5))
            return [await listener.next() for _ in range(3)]

    state = {"mood": "happy", "confidence": 0.812, "faces": 0, "time": 1.5}
    assert asyncio.run(whole()) == [
        ("availability", "online", False),
        ("state", state, False),
        ("availability", "offline", False),
    ]


def test_who_comes_later_finds_the_last_state(broker: Mosquitto) -> None:
    async def whole() -> dict[str, Any]:
        async with MqttSink(address(broker)) as sink:
            await sink.publish(report("happy"))
            await sink.publish(report("sad", time=0.1))
            async with listening(broker) as listener:
                found = [await listener.next() for _ in range(2)]
                assert all(retained for _, _, retained in found)
                return {topic: value for topic, value, _ in found}

    found = asyncio.run(whole())
    assert found["availability"] == "online"
    assert found["state"]["mood"] == "sad"


def test_a_steady_mood_is_published_once(broker: Mosquitto) -> None:
    async def whole() -> list[str | None]:
        async with listening(broker) as listener:
            async with MqttSink(address(broker)) as sink:
                for frame in range(100):
                    mood = None if frame < 10 else "happy" if frame < 60 else "sad"
                    await sink.publish(report(mood, 0.8, frame / 10))
            moods = []
            while (message := await listener.next())[1] != "offline":
                if message[0] == "state":
                    moods.append(message[1]["mood"])
            return moods

    assert asyncio.run(whole()) == [None, "happy", "sad"]


def test_confidence_is_news_when_it_moved_and_not_too_often() -> None:
    before = State("happy", 0.80, 1, 10.0)
    assert State("happy", 0.80, 1, 10.0).is_news(None)
    assert not State("happy", 0.82, 1, 20.0).is_news(before)
    assert not State("happy", 0.90, 1, 10.3).is_news(before)
    assert State("happy", 0.90, 1, 10.5).is_news(before)
    assert State("sad", 0.80, 1, 10.0).is_news(before)
    assert State("happy", 0.80, 2, 10.0).is_news(before)
    assert State(None, None, 0, 10.0).is_news(before)


def test_a_closed_port_is_refused_in_one_line() -> None:
    port = free_port()

    async def whole() -> None:
        async with MqttSink(parse_broker(f"mqtt://127.0.0.1:{port}/x")):
            pass

    with pytest.raises(SinkError) as refused:
        asyncio.run(whole())
    expected = f"mqtt broker 127.0.0.1:{port} cannot be reached: [Errno 111] Connection refused"
    assert str(refused.value) == expected


def test_a_host_without_address_is_refused() -> None:
    async def whole() -> None:
        async with MqttSink(parse_broker("mqtt://no.such.host.invalid/x")):
            pass

    with pytest.raises(SinkError, match=r"no.such.host.invalid:1883 cannot be reached"):
        asyncio.run(whole())


def test_a_wrong_password_is_refused_and_not_shown(locked_broker: Mosquitto) -> None:
    port = locked_broker.port

    async def whole(password: str) -> None:
        uri = f"mqtt://mirror:{password}@127.0.0.1:{port}/x"
        async with MqttSink(parse_broker(uri)) as sink:
            await sink.publish(report("happy"))

    asyncio.run(whole("right"))
    with pytest.raises(SinkError) as refused:
        asyncio.run(whole("guessed"))
    assert str(refused.value) == f"mqtt broker 127.0.0.1:{port} refuses: Not authorized"


def test_the_broker_says_it_when_we_die(broker: Mosquitto) -> None:
    program = (
        "import asyncio\n"
        "from edgefer_device.broker import parse_broker\n"
        "from edgefer_device.mqtt import MqttSink\n"
        "async def main():\n"
        f"    async with MqttSink(parse_broker('mqtt://127.0.0.1:{broker.port}/{PREFIX}')):\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )

    async def whole() -> None:
        async with listening(broker) as listener:
            paths = {"PYTHONPATH": ":".join(sys.path)}
            with subprocess.Popen([sys.executable, "-c", program], env=paths) as process:
                await listener.until("availability", "online")
                process.send_signal(signal.SIGKILL)
            await listener.until("availability", "offline")

    asyncio.run(whole())


def test_a_lost_broker_stops_nothing_and_is_told_all_when_it_returns(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefer_device.mqtt.BACKOFF_SECONDS", (0.05, 0.2))

    async def whole() -> None:
        async with MqttSink(address(broker), jitter=lambda: 0.0) as sink:
            await sink.publish(report("happy"))
            broker.kill()
            while not caplog.records:
                await asyncio.sleep(0)
            await sink.publish(report("sad", time=1.0))
            broker.start()
            async with listening(broker) as listener:
                state = {"mood": "sad", "confidence": 0.8, "faces": 0, "time": 1.0}
                await listener.until("state", state)

    asyncio.run(whole())
    (record,) = caplog.records
    assert f"mqtt broker 127.0.0.1:{broker.port} lost" in record.getMessage()
    assert record.getMessage().endswith("connecting again")
