"""MQTT against a real Mosquitto: what stands on the broker, and what happens without it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from edgefer.errors import BrokerError
from edgefer.messages import Box, Face, Report
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.sinks.mqtt.broker import Broker, MqttSettings, parse_broker
from edgefer_device.sinks.mqtt.discovery import DeviceInfo
from edgefer_device.sinks.mqtt.sink import MqttSink, Timing
from edgefer_device.sinks.mqtt.state import State
from edgefer_device.system.process import cpu_seconds
from support.fake_broker import FakeBroker
from support.listening import listening
from support.mosquitto import Mosquitto

PREFIX = "home/mirror"
QUICK = Timing(reconnect=(0.05, 0.2))


def report(
    mood: str | None,
    confidence: float | None = 0.8,
    time: float = 0.0,
    reason: str | None = None,
    problem: str | None = None,
) -> Report:
    sure = None if mood is None else confidence
    return Report(time, round(10 * time), (), mood, sure, problem, reason)


def said(mood: str | None, confidence: float | None, time: float = 0.0, **rest: Any) -> Any:
    """What stands at `state`."""
    told = {"mood": mood, "confidence": confidence, "faces": 0, "time": time}
    return {**told, "reason": None, "problem": None, "paused": False, **rest}


def address(mosquitto: Mosquitto, settings: MqttSettings | None = None) -> Broker:
    return parse_broker(f"mqtt://127.0.0.1:{mosquitto.port}/{PREFIX}", settings)


def sink(mosquitto: Mosquitto, timing: Timing | None = None, **settings: Any) -> MqttSink:
    table = MqttSettings(**settings)
    device = DeviceInfo(model="small 01234567")
    broker = address(mosquitto, table)
    return MqttSink(broker, table, device, timing=timing, jitter=lambda: 0.0)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_mood_and_our_presence_are_published(broker: Mosquitto, version: str, qos: int) -> None:
    async def whole() -> list[tuple[str, Any]]:
        async with listening(broker, PREFIX) as listener:
            async with sink(broker, version=version, qos=qos) as one:
                await one.publish(report("happy", 0.8123456, time=1.5))
            heard: list[tuple[str, Any]] = []
            while not heard or heard[-1][1] != "offline":
                topic, value, retained = await listener.next()
                assert not retained
                heard.append((topic, value))
            return [pair for pair in heard if pair[0] in ("availability", "state")]

    assert asyncio.run(whole()) == [
        ("state", said("happy", 0.812, 1.5)),
        ("availability", "online"),
        ("availability", "offline"),
    ]


def test_who_comes_later_finds_the_last_state(broker: Mosquitto) -> None:
    async def whole() -> dict[str, Any]:
        async with sink(broker) as one:
            await one.publish(report("happy"))
            await one.publish(report("sad", time=0.1))
            async with listening(broker, PREFIX) as first:
                heard: dict[str, Any] = {}
                while len(heard) < 6 or heard["state"]["mood"] != "sad":
                    topic, value, _ = await first.next()
                    heard[topic] = value
            async with listening(broker, PREFIX) as listener:
                found = [await listener.next() for _ in range(6)]
                assert all(retained for _, _, retained in found)
                return {topic: value for topic, value, _ in found}

    found = asyncio.run(whole())
    assert found["availability"] == "online"
    assert found["state"]["mood"] == "sad"
    assert (found["privacy"], found["threshold"]) == ("OFF", "0.4")
    assert found["diagnostics"]["model"].startswith("small")


def test_a_steady_mood_is_published_once(broker: Mosquitto) -> None:
    async def whole() -> list[str | None]:
        async with listening(broker, PREFIX) as listener:
            moods = []
            async with sink(broker) as one:
                for time, mood in enumerate((None, "happy", "sad")):
                    for frame in range(30):
                        await one.publish(report(mood, 0.8, time + frame / 30))
                    moods.append((await listener.where("state", bool))["mood"])
            return [*moods, *await listener.moods_until_offline()]

    assert asyncio.run(whole()) == [None, "happy", "sad"]


def test_confidence_is_news_when_it_moved() -> None:
    before = State("happy", 0.80, 1, 10.0)
    assert State("happy", 0.80, 1, 10.0).is_news(None)
    assert not State("happy", 0.82, 1, 20.0).is_news(before)
    assert State("happy", 0.90, 1, 10.3).is_news(before)
    assert State("sad", 0.80, 1, 10.0).is_news(before)
    assert State("happy", 0.80, 2, 10.0).is_news(before)
    assert State(None, None, 0, 10.0).is_news(before)


def test_states_that_flicker_are_thinned_out_and_the_last_is_told(broker: Mosquitto) -> None:
    async def whole() -> list[str | None]:
        async with listening(broker, PREFIX) as listener, sink(broker, max_rate=5) as one:
            for frame in range(40):
                await one.publish(report(("happy", "sad")[frame % 2], time=frame / 40))
                await asyncio.sleep(0.025)
            await one.publish(report("surprise", time=1.0))
            moods: list[str | None] = []
            while "surprise" not in moods:
                moods.append((await listener.where("state", bool))["mood"])
            return moods

    assert 3 <= len(asyncio.run(whole())) <= 7


def test_a_state_of_another_day_is_not_told_as_ours(broker: Mosquitto) -> None:
    """Whoever acts on `state` while `availability` is online sees none of before this start."""

    async def whole() -> list[tuple[str, Any]]:
        async with sink(broker) as yesterday:
            await yesterday.publish(report("happy"))
        async with listening(broker, PREFIX) as listener:
            heard: list[tuple[str, Any]] = []
            async with sink(broker) as today:
                await listener.until("diagnostics", ANY)
                await today.publish(report(None))
                while not heard or heard[-1][1] != "online":
                    heard.append((await listener.next())[:2])
            return heard

    heard = asyncio.run(whole())
    assert heard[-2:] == [("state", said(None, None)), ("availability", "online")]


def test_a_daemon_that_starts_paused_says_so(broker: Mosquitto) -> None:
    controls = Controls()
    controls.pause()

    async def whole() -> None:
        one = MqttSink(address(broker), controls=controls, jitter=lambda: 0.0)
        async with one, listening(broker, PREFIX) as listener:
            assert (await listener.where("state", bool))["paused"]
            await listener.until("availability", "online")

    asyncio.run(whole())


def test_an_old_connections_end_that_comes_late_is_answered(broker: Mosquitto) -> None:
    async def whole() -> None:
        async with sink(broker) as one, listening(broker, PREFIX) as listener:
            await one.publish(report("happy"))
            await listener.until("availability", "online")
            await listener.ask("availability", "offline", retain=True)
            await listener.until("availability", "offline")
            await listener.until("availability", "online")

    asyncio.run(whole())


@pytest.mark.parametrize("machines", [1, 2])
def test_two_daemons_on_one_topic_say_so(
    broker: Mosquitto, machines: int, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    """Two of one machine throw each other out; those of two are let in side by side."""
    timing = Timing(reconnect=(0.1, 0.2), diagnostics=0.2)

    async def whole() -> None:
        async with sink(broker, timing):
            await asyncio.sleep(0.3)
            monkeypatch.setattr("edgefer_device.sinks.mqtt.broker.machine_id", lambda: machines)
            async with sink(broker, timing):
                while "another daemon" not in caplog.text:
                    await asyncio.sleep(0.05)

    monkeypatch.setattr("edgefer_device.sinks.mqtt.broker.machine_id", lambda: 1)
    asyncio.run(asyncio.wait_for(whole(), 20))
    wanted = "mqtt: another daemon publishes on 'home/mirror' too; give each a topic of its own"
    assert wanted in caplog.messages


def test_a_daemon_that_starts_again_is_no_other(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> None:
        for _ in range(2):
            async with sink(broker, Timing(diagnostics=0.1)) as one:
                await one.publish(report("happy"))
                await asyncio.sleep(0.4)

    asyncio.run(whole())
    assert "another daemon" not in caplog.text


def test_a_reason_and_a_problem_are_news_and_the_seconds_in_its_words_are_not() -> None:
    before = State.of(report("unknown", 0.3, reason="dark"))
    assert State.of(report("unknown", 0.3, reason="blurred")).is_news(before)
    silent = State.of(report(None, problem="no picture for 2 s"))
    assert silent.is_news(before)
    assert not State.of(report(None, time=9.0, problem="no picture for 11 s")).is_news(silent)


def test_a_broker_that_is_not_there_yet_is_waited_for(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()

    async def whole() -> None:
        async with sink(broker, QUICK) as one:
            assert one.fault == "the broker cannot be reached: Connection refused"
            await one.publish(report("happy"))
            broker.start()
            async with listening(broker, PREFIX) as listener:
                await listener.until("state", said("happy", 0.8))
            assert one.fault is None

    asyncio.run(whole())
    (record,) = caplog.records
    address = f"127.0.0.1:{broker.port}"
    reason = "cannot be reached: Connection refused; trying again"
    assert record.getMessage() == f"mqtt broker {address} {reason}"


def test_a_host_without_address_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> None:
        async with MqttSink(parse_broker("mqtt://no.such.host.invalid/x")):
            pass

    asyncio.run(whole())
    assert "no.such.host.invalid:1883 cannot be reached" in caplog.text


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_wrong_password_is_refused_and_not_shown(locked_broker: Mosquitto, version: str) -> None:
    port = locked_broker.port

    async def whole(password: str) -> None:
        uri = f"mqtt://mirror:{password}@127.0.0.1:{port}/x"
        async with MqttSink(parse_broker(uri, MqttSettings(version=version))) as one:  # type: ignore[arg-type]  # one of the two
            await one.publish(report("happy"))

    asyncio.run(whole("right"))
    with pytest.raises(BrokerError) as refused:
        asyncio.run(whole("guessed"))
    assert str(refused.value) == f"mqtt broker 127.0.0.1:{port} refuses: Not authorized"


def test_the_broker_says_it_when_we_die(broker: Mosquitto) -> None:
    program = (
        "import asyncio\n"
        "from edgefer.messages import Report\n"
        "from edgefer_device.sinks.mqtt.broker import parse_broker\n"
        "from edgefer_device.sinks.mqtt.sink import MqttSink\n"
        "async def main():\n"
        f"    uri = 'mqtt://127.0.0.1:{broker.port}/{PREFIX}'\n"
        "    async with MqttSink(parse_broker(uri)) as one:\n"
        "        await one.publish(Report(0.0, 0, (), None, None))\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )

    async def whole() -> None:
        async with listening(broker, PREFIX) as listener:
            paths = {"PYTHONPATH": ":".join(sys.path)}
            with subprocess.Popen([sys.executable, "-c", program], env=paths) as process:
                await listener.until("availability", "online")
                process.send_signal(signal.SIGKILL)
            await listener.until("availability", "offline")

    asyncio.run(whole())


def test_a_lost_broker_stops_nothing_and_is_told_all_when_it_returns(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:

    async def whole() -> None:
        async with sink(broker, QUICK) as one:
            await one.publish(report("happy"))
            broker.kill()
            while not caplog.records:
                await asyncio.sleep(0.01)
            await one.publish(report("sad", time=1.0))
            broker.start()
            async with listening(broker, PREFIX, "homeassistant/#") as listener:
                seen: set[str] = set()
                while seen < {"availability", "state", "privacy", "threshold", "config"}:
                    topic, value, _ = await listener.next()
                    seen.add(topic.rpartition("/")[2])
                    if topic == "state":
                        assert value == said("sad", 0.8, 1.0)

    asyncio.run(whole())
    (record,) = caplog.records
    assert f"mqtt broker 127.0.0.1:{broker.port} lost" in record.getMessage()
    assert record.getMessage().endswith("connecting again")


def test_a_broker_that_stands_still_holds_nobody_up_and_gets_the_newest(broker: Mosquitto) -> None:
    async def whole() -> tuple[list[str | None], float]:
        async with listening(broker, PREFIX) as listener, sink(broker, Timing(answer=0.3)) as one:
            await one.publish(report("neutral"))
            await listener.until("state", said("neutral", 0.8))
            with broker.stalled():
                begun = time.monotonic()
                for frame in range(300):
                    mood = ("happy", "sad", "angry")[frame % 3]
                    await one.publish(report(mood, time=frame / 10))
                taken = time.monotonic() - begun
                while one.fault is None:
                    await asyncio.sleep(0.01)
                assert one.fault == "the broker does not answer"
                await one.publish(report("surprise", time=40.0))
            moods: list[str | None] = []
            while not moods or moods[-1] != "surprise":
                topic, value, _ = await listener.next()
                if topic == "state":
                    moods.append(value["mood"])
            return moods, taken

    moods, taken = asyncio.run(whole())
    assert len(moods) <= 4
    assert taken < 1.0


def test_a_broker_that_hangs_at_the_start_holds_nobody_up(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:

    async def whole() -> None:
        with broker.stalled():
            one = sink(broker, Timing(start=0.2, reconnect=(0.05, 0.2)))
            await one.__aenter__()
            await one.publish(report("happy"))
        try:
            async with listening(broker, PREFIX) as listener:
                await listener.until("state", said("happy", 0.8))
        finally:
            await one.__aexit__(None, None, None)

    asyncio.run(whole())
    assert "does not answer; trying again" in caplog.text


def test_a_full_broker_is_tried_again(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:

    async def whole(full: Mosquitto) -> None:
        async with listening(full, PREFIX):
            one = sink(full, QUICK)
            await one.__aenter__()
            assert one.fault is not None
        await one.publish(report("happy"))
        while one.fault is not None:
            await asyncio.sleep(0.01)
        await one.__aexit__(None, None, None)

    settings = "max_connections 1\nallow_anonymous true\n"
    with Mosquitto(tmp_path, settings).running() as full:
        asyncio.run(asyncio.wait_for(whole(full), 20))
    assert "trying again" in caplog.text


def test_faces_are_counted(broker: Mosquitto) -> None:
    face = Face(1, Box(0, 0, 50, 50), 0.9, "happy", {"happy": 0.8})

    async def whole() -> None:
        async with listening(broker, PREFIX) as listener, sink(broker) as one:
            await one.publish(Report(0.0, 0, (face, face), "happy", 0.8))
            assert (await listener.where("state", bool))["faces"] == 2

    asyncio.run(whole())


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    "packet",
    [
        b"\x30\x05\x00\x03a/\xff",  # a topic that is no UTF-8
        b"\x30\x05\x00\x03a/+",  # or a filter
        b"\x32\x04\x00\x09ab",  # or longer than its packet
        b"\x90\x00",
        b"\x30\xff\xff\xff\xff\x7f",  # a length that cannot be
    ],
)
def test_a_packet_that_cannot_be_read_costs_a_connection_and_no_more(
    packet: bytes, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> tuple[float, int, int]:
        async with FakeBroker(packet, at_once).running() as broker:
            timing = Timing(start=0.3, farewell=0.2, answer=0.3, reconnect=(0.1, 1.0))
            address = parse_broker(f"mqtt://127.0.0.1:{broker.port}/{PREFIX}")
            async with MqttSink(address, timing=timing, jitter=None) as one:
                await one.publish(report("happy"))
                cpu, files = cpu_seconds(), open_files()
                await asyncio.sleep(2.0)
                await one.publish(report("sad"))
                return cpu_seconds() - cpu, open_files() - files, broker.connections

    cpu, more_files, connections = asyncio.run(asyncio.wait_for(whole(), 30))
    assert cpu < 0.6
    assert more_files <= 2
    assert connections <= 6
    assert "never retrieved" not in caplog.text


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
