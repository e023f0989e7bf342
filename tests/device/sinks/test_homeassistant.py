"""What Home Assistant is told of the device, and what it may ask, over a real Mosquitto."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edgefer.messages import Report
from edgefer_device.pipeline.control_state import Controls, ControlState
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.mqtt import discovery
from edgefer_device.sinks.mqtt.broker import MqttSettings, parse_broker
from edgefer_device.sinks.mqtt.commands import COMMANDS_A_SECOND, Commands
from edgefer_device.sinks.mqtt.diagnostics import Rival
from edgefer_device.sinks.mqtt.sink import MqttSink, Timing
from edgefer_device.sinks.mqtt.summary import MoodSums, Summary
from edgefer_device.sinks.opening import page_url
from support.listening import Listener, listening
from support.mosquitto import Mosquitto

PREFIX = "home/hall mirror"
ID = "edgefer_home_hall_mirror_863494d9"
"""Other topics make the same letters: this one has a blank, which its hash remembers."""
TOPIC = f"homeassistant/device/{ID}/config"
ABOUT = discovery.DeviceInfo(("happy", "sad", "neutral"), "small 01234567", 0.4)
HEALTH = Health()
QUICK = Timing(diagnostics=0.2)
BROKER = parse_broker("mqtt://localhost/home/hall%20mirror".replace("%20", " "))
HAPPY = Report(1.0, 10, (), "happy", 0.8)


def message(**changes: Any) -> dict[str, Any]:
    told = discovery.message(BROKER, "", ABOUT, **{"commands": True, **changes})
    return dict(json.loads(msgspec.json.encode(told)))


def sink(broker: Mosquitto, controls: Controls, **settings: Any) -> MqttSink:
    table = MqttSettings(**settings)
    address = parse_broker(f"mqtt://127.0.0.1:{broker.port}/{PREFIX}", table)
    return MqttSink(address, table, ABOUT, controls, HEALTH, jitter=lambda: 0.0)


def test_the_message_is_a_device_discovery() -> None:
    told = message()
    assert discovery.topic("homeassistant", BROKER) == TOPIC
    assert told["device"]["identifiers"] == [ID]
    assert told["device"]["name"] == "Hall mirror"
    assert told["device"]["model"] == "small 01234567"
    assert set(told["origin"]) == {"name", "sw_version"}
    assert "configuration_url" not in told["device"]
    assert set(entities(told)) == {
        *("mood", "confidence", "presence", "faces", "problem"),
        *("mood_10_minutes", "smiles_today", "mood_change"),
        *("frame_rate", "inference", "temperature", "model_version"),
        *("privacy", "threshold", "week", "restart"),
    }


def entities(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those of its components that are no triggers."""
    parts = told["components"].items()
    return {key: part for key, part in parts if part["platform"] != "device_automation"}


def test_it_links_to_a_page_that_others_reach() -> None:
    about = replace(ABOUT, page=page_url(["console:", "mirror:0.0.0.0:80"]))
    told = discovery.message(BROKER, "", about, commands=True)
    assert told["device"]["configuration_url"] == f"http://{socket.gethostname()}:80/"
    assert page_url(["mirror:"]) is None
    assert page_url(["console:"]) is None


@pytest.mark.parametrize("language", sorted(discovery.NAMES))
def test_its_names_are_translated_and_its_identifiers_are_not(language: str) -> None:
    ours = entities(message())
    theirs = entities(discovery.message(BROKER, "", replace(ABOUT, language=language), True))
    for key, part in ours.items():
        assert part["name"] != theirs[key]["name"], "not translated"
        assert part["default_entity_id"] == theirs[key]["default_entity_id"]


def test_there_is_a_trigger_for_each_word() -> None:
    parts = message()["components"].values()
    triggers = [part for part in parts if part["platform"] == "device_automation"]
    words = [trigger["payload"] for trigger in triggers]
    assert words == ["happy", "sad", "neutral", "uncertain", "nobody"]
    assert words == message()["components"]["mood_change"]["event_types"]
    assert {trigger["topic"] for trigger in triggers} == {f"{PREFIX}/event"}


def test_a_change_is_an_event_and_what_is_retained_is_none(broker: Mosquitto) -> None:
    async def whole() -> None:
        async with sink(broker, Controls(), max_rate=30) as one:
            await one.publish(HAPPY)
        async with listening(broker, PREFIX) as listener:
            controls = Controls()
            async with sink(broker, controls, max_rate=30) as one:
                for moment, mood in enumerate(("happy", "sad", "unknown", None, "happy"), 2):
                    sure = None if mood is None else 0.7
                    await one.publish(Report(moment, moment, (), mood, sure))
                    await asyncio.sleep(0.1)
                controls.pause()
                await listener.until("privacy", "ON")
                controls.resume()
                await one.publish(Report(9.0, 9, (), "sad", 0.7))
                await listener.where("state", lambda state: state["mood"] == "sad")

    async def events() -> list[Any]:
        heard: list[Any] = []
        async with listening(broker, PREFIX) as listener:
            await whole()
            while len(heard) < 4:
                topic, value, retained = await listener.next()
                if topic == "event":
                    assert not retained
                    heard.append((value["before"], value["event_type"]))
        return heard

    assert asyncio.run(asyncio.wait_for(events(), 30)) == [
        ("happy", "sad"),
        ("sad", "uncertain"),
        ("uncertain", "nobody"),
        ("nobody", "happy"),
    ]


def test_a_flicker_does_not_change_the_mood_of_ten_minutes() -> None:
    now, day = 0.0, date(2026, 11, 30)
    sums = MoodSums(lambda: now, lambda: day)

    def see(mood: str | None, seconds: int) -> Summary:
        nonlocal now
        for _ in range(seconds):
            sums.add(Report(now, 0, (), mood, None))
            now += 1
        return sums.summary()

    assert see("sad", 30).mood is None, "a glance"
    for _ in range(20):
        see("sad", 10)
        told = see("happy", 1)
    assert (told.mood, told.smiles) == ("sad", 7.6)
    assert see("unknown", 400).mood == "unknown"
    assert see(None, 600).mood is None
    day = date(2026, 12, 1)
    assert sums.summary() == Summary(None, None)


def test_every_topic_has_an_identifier_of_its_own() -> None:
    def identifier(topic: str) -> str:
        return discovery.device_id(parse_broker(f"mqtt://localhost/{topic}"))

    assert identifier("home/mirror") == "edgefer_home_mirror"
    topics = (
        "家/镜子",
        "家/卧室",
        "home/küche",
        "home/k_che",
        "home/k/che",
        "Home/k/che",
        "home_k/che",
    )
    assert len(set(map(identifier, topics))) == len(topics)
    assert all(re.fullmatch("[a-z0-9_]+", identifier(topic)) for topic in topics)


@pytest.mark.parametrize(
    "prefix", ["homeassistant/", "/homeassistant", "a//b", "a b", "a/#", "a\n"]
)
def test_a_discovery_prefix_that_home_assistant_cannot_have_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="discovery must be") as refused:
        MqttSettings(discovery=prefix)
    assert "\n" not in str(refused.value)


def test_every_entity_has_a_place_and_a_name_of_its_own() -> None:
    parts = entities(message())
    for key, part in parts.items():
        assert part["unique_id"] == f"{ID}_{key}"
        assert part["default_entity_id"] == f"{part['platform']}.hall_mirror_{key}"
        assert "object_id" not in part
        topic = part["state_topic" if "state_topic" in part else "command_topic"]
        assert topic.startswith(f"{PREFIX}/")
        assert part["platform"] == "button" or topic == part["state_topic"]
    assert len({part["name"] for part in parts.values()}) == len(parts)


def test_the_mood_is_an_enumeration_without_home_assistants_own_words() -> None:
    mood = message()["components"]["mood"]
    assert mood["options"] == ["happy", "sad", "neutral", "uncertain", "nobody"]
    assert mood["device_class"] == "enum"
    assert "state_class" not in mood
    assert not {"unknown", "unavailable", "none", "None"} & set(mood["options"])


def test_without_commands_nothing_can_be_asked() -> None:
    parts = message(commands=False)["components"]
    assert not any("command_topic" in part for part in parts.values())


STATE = {"mood": "happy", "confidence": 0.806, "faces": 1, "reason": None}
SIGHT = {"problem": None, "paused": False}


@pytest.mark.parametrize(
    ("key", "changes", "expected"),
    [
        ("mood", {}, "happy"),
        ("mood", {"mood": "unknown"}, "uncertain"),
        ("mood", {"mood": None}, "nobody"),
        ("mood_10_minutes", {"mood": "unknown"}, "uncertain"),
        ("smiles_today", {"smiles": 12.5}, "12.5"),
        ("confidence", {}, "81"),
        ("confidence", {"confidence": None}, "None"),
        ("presence", {}, "ON"),
        ("presence", {"faces": 0}, "OFF"),
        ("faces", {}, "1"),
        ("problem", {}, "OFF"),
        ("problem", {"problem": "no picture"}, "ON"),
    ],
)
def test_the_templates_say_what_the_state_means(
    key: str, changes: dict[str, Any], expected: str
) -> None:
    state = {**STATE, **SIGHT, **changes}
    assert rendered(message()["components"][key]["value_template"], state) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "online"), ({"paused": True}, "offline"), ({"problem": "no picture"}, "offline")],
)
def test_what_is_seen_is_not_available_while_nothing_is(
    changes: dict[str, Any], expected: str
) -> None:
    parts = message()["components"]
    for key in ("mood", "confidence", "presence", "faces"):
        online, sight = parts[key]["availability"]
        assert online == {"topic": f"{PREFIX}/availability"}
        assert parts[key]["availability_mode"] == "all"
        assert rendered(sight["value_template"], {**STATE, **SIGHT, **changes}) == expected
    assert "availability" not in parts["privacy"]


def rendered(template: str, state: dict[str, Any]) -> str:
    """What Home Assistant makes of a template; these are of what Jinja and Python share."""

    class Rounding:
        def __ror__(self, value: float) -> int:
            return round(value)

    expression = template.removeprefix("{{").removesuffix("}}").strip()
    names = {"value_json": SimpleNamespace(**state), "none": None, "round": Rounding()}
    return str(eval(expression, {"__builtins__": {}}, names))


def test_the_device_is_told_retained_and_again_when_home_assistant_returns(
    broker: Mosquitto,
) -> None:
    async def whole() -> None:
        async with sink(broker, Controls()), listening(broker, PREFIX, TOPIC) as listener:
            told = await listener.where(TOPIC, bool)
            assert told["components"]["mood"]["state_topic"] == f"{PREFIX}/state"
            await listener.ask("/homeassistant/status", "online")
            assert await listener.where(TOPIC, bool) == told
            await listener.until("privacy", "OFF")

    asyncio.run(whole())


def test_a_retained_status_of_home_assistant_is_no_return(broker: Mosquitto) -> None:
    async def whole() -> int:
        async with listening(broker, PREFIX, TOPIC) as listener:
            await listener.ask("/homeassistant/status", "online", retain=True)
            told = 0
            async with sink(broker, Controls()):
                # Commands come in order: with this one answered, the status before it was read.
                await listener.ask("threshold/set", "0.7")
                while (heard := await listener.next())[:2] != ("threshold", "0.7"):
                    told += heard[0] == TOPIC
            while (heard := await listener.next())[1] != "offline":
                told += heard[0] == TOPIC
            return told

    assert asyncio.run(whole()) == 1


def test_discovery_can_be_turned_off(broker: Mosquitto) -> None:
    async def whole() -> None:
        async with listening(broker, PREFIX, "homeassistant/#") as listener:
            async with sink(broker, Controls(), discovery="", commands=False) as one:
                await one.publish(HAPPY)
            while (heard := await listener.next())[1] != "offline":
                assert heard[0] in ("availability", "state", "summary", "diagnostics")

    asyncio.run(whole())


def asked(broker: Mosquitto, topic: str, payload: str, retain: bool = False) -> Controls:
    """The controls after a message, once an answer to the next command came."""
    controls = Controls()

    async def whole() -> None:
        async with sink(broker, controls), listening(broker, PREFIX) as listener:
            await listener.until("threshold", "0.4")
            await listener.ask(topic, payload, retain)
            await listener.ask("threshold/set", "0.9")
            await listener.until("threshold", "0.9")

    asyncio.run(asyncio.wait_for(whole(), 20))
    return controls


def test_the_privacy_switch_pauses_and_is_echoed(broker: Mosquitto) -> None:
    controls = Controls()

    async def whole(listener: Listener) -> None:
        async with sink(broker, controls) as one:
            await one.publish(HAPPY)
            await listener.where("state", lambda state: state["mood"] == "happy")
            await listener.ask("privacy/set", "ON")
            paused = await listener.where("state", lambda state: state["paused"])
            assert (paused["mood"], paused["faces"]) == (None, 0)
            assert controls.paused
            # A frame from before the pause tells nobody anything.
            await one.publish(HAPPY)
            await listener.ask("privacy/set", "OFF")
            await listener.until("privacy", "OFF")
            assert not controls.paused
            await one.publish(msgspec.structs.replace(HAPPY, time=2.0))
            state = await listener.where("state", bool)
            assert (state["mood"], state["time"]) == ("happy", 2.0)

    async def heard() -> None:
        async with listening(broker, PREFIX) as listener:
            await whole(listener)

    asyncio.run(heard())


def test_a_pause_from_elsewhere_moves_the_switch(broker: Mosquitto) -> None:
    controls = Controls()

    async def whole() -> None:
        async with sink(broker, controls), listening(broker, PREFIX) as listener:
            await listener.until("privacy", "OFF")
            await asyncio.to_thread(controls.pause)
            await listener.until("privacy", "ON")

    asyncio.run(whole())


def test_the_week_is_asked_for(broker: Mosquitto) -> None:
    assert asked(broker, "week/set", "PRESS").state.weeks == 1


def test_a_restart_is_asked_for(broker: Mosquitto) -> None:
    assert asked(broker, "restart/set", "PRESS").restart


@pytest.mark.parametrize("topic", ["restart/set", "privacy/set", "threshold/set"])
def test_what_is_retained_or_strange_is_not_obeyed(
    broker: Mosquitto, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    controls = asked(broker, topic, "banana")
    assert (controls.paused, controls.restart) == (False, False)
    assert f"mqtt: {PREFIX}/{topic}: cannot be 'banana'" in caplog.text


def test_a_retained_command_is_not_obeyed(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        async with listening(broker, PREFIX) as listener:
            await listener.ask("restart/set", "PRESS", retain=True)

    asyncio.run(leave())
    controls = asked(broker, "privacy/set", "ON")
    assert (controls.restart, controls.paused) == (False, True)
    assert f"retained '{PREFIX}/restart/set' is not obeyed" in caplog.text


def test_a_burst_of_commands_is_not_obeyed(caplog: pytest.LogCaptureFixture) -> None:
    controls = Controls()
    changes: list[ControlState] = []
    controls.listen(changes.append)
    commands = Commands(BROKER, controls)
    for payload in 50 * (b"ON", b"OFF"):
        assert commands.handle(f"{PREFIX}/privacy/set", payload, retained=False)
    assert len(changes) == COMMANDS_A_SECOND
    assert "more than 10 commands a second are not obeyed" in caplog.messages[-1]


def test_a_threshold_out_of_range_springs_back(broker: Mosquitto) -> None:
    async def whole() -> None:
        async with sink(broker, Controls()), listening(broker, PREFIX) as listener:
            await listener.until("threshold", "0.4")
            await listener.ask("threshold/set", "7")
            await listener.until("threshold", "0.4")

    asyncio.run(whole())


def test_diagnostics_tell_rate_and_time_of_inference(broker: Mosquitto) -> None:
    now = 0.0
    address = parse_broker(f"mqtt://127.0.0.1:{broker.port}/{PREFIX}")
    one = MqttSink(address, health=HEALTH, timing=QUICK, clock=lambda: now)

    async def whole() -> None:
        nonlocal now
        async with one, listening(broker, PREFIX) as listener:
            HEALTH.on_latency(0.0125)
            for _ in range(40):
                await one.publish(HAPPY)
            now += 4
            told = await listener.where("diagnostics", lambda told: told["frame_rate"] == 10)
            assert told["inference_ms"] == 12.5
            assert told["version"]

    asyncio.run(whole())


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"instance":"\xff"}', b'{"instance":' + b"[" * 100_000]
)
def test_what_strangers_put_on_the_diagnostics_topic_is_dropped(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    rival = Rival("home")
    rival.hear(msgspec.json.encode({"instance": rival.instance}))
    rival.hear(payload)
    assert "another daemon" not in caplog.text
    rival.hear(msgspec.json.encode({"instance": "another"}))
    assert "another daemon publishes on 'home' too" in caplog.text


def test_the_window_of_ten_minutes_does_not_grow_while_the_broker_is_away() -> None:
    now = 0.0
    sums = MoodSums(lambda: now)
    for second in range(0, 7200, 2):
        now = float(second)
        sums.add(Report(now, second, (), "happy", 0.9))
    assert len(sums._window) <= 600 / 5 + 2
