"""Sinks chosen by address; the console and JSON lines."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import click
import msgspec
import pytest

from edgefer.errors import SettingsError, SinkError
from edgefer.messages import Box, Face, Report
from edgefer_device.commands.device import run
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.console import ConsoleSink, describe
from edgefer_device.sinks.jsonl import JsonLinesSink
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.sinks.mqtt.broker import Broker, parse_broker
from edgefer_device.sinks.mqtt.sink import MqttSink
from edgefer_device.sinks.opening import open_sink


def report(frame: int = 0, mood: str | None = None, confidence: float | None = None) -> Report:
    face = Face(1, Box(10, 20, 30, 30), 0.9, mood or "", {"happy": 0.75, "sad": 0.25})
    return Report(frame / 10, frame, (face,) if mood else (), mood, confidence)


def publish(sink: Sink, *reports: Report) -> None:
    async def whole() -> None:
        async with sink:
            for one in reports:
                await sink.publish(one)

    asyncio.run(whole())


def test_a_sink_is_chosen_by_its_address() -> None:
    assert isinstance(open_sink("console:"), ConsoleSink)
    assert isinstance(open_sink("jsonl:-"), JsonLinesSink)
    assert isinstance(open_sink("mqtt://localhost/home/mirror"), MqttSink)
    assert isinstance(open_sink("mirror:"), MirrorSink)


def test_every_address_that_the_help_names_is_one() -> None:
    (sink,) = (one for one in run.params if one.name == "sinks")
    assert isinstance(sink, click.Option) and sink.help
    for address in sink.help.split(", "):
        open_sink(address)


def test_the_mirror_is_served_where_it_is_told() -> None:
    mirror = open_sink("mirror:0.0.0.0:9000")
    assert isinstance(mirror, MirrorSink)
    assert (mirror.server.host, mirror.server.port) == ("0.0.0.0", 9000)


def test_who_serves_no_page_loads_no_web_server() -> None:
    program = (
        "import sys\nfrom edgefer_device.sinks.opening import page_url\n"
        "assert page_url(['console:', 'jsonl:-']) is None\nassert 'aiohttp' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("uri", ["kafka:x", "console", "", "stdout:"])
def test_an_unknown_sink_is_refused_with_the_list(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"known: console:.*jsonl:.*mqtt:.*mirror:"):
        open_sink(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "console:x",
        "jsonl:",
        "mirror:host",
        "mirror:localhost:99999",
        "mqtt:",
        "mqtt://localhost",
        "mqtt://localhost:port/topic",
        "mqtt://localhost/home/#",
    ],
)
def test_an_address_that_lacks_something_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError):
        open_sink(uri)


def test_a_brokers_address_is_taken_apart() -> None:
    broker = parse_broker("mqtt://me:p%40ss@broker.local:1884//home/mirror/")
    assert broker == Broker("broker.local", 1884, "home/mirror", "me", "p@ss")
    assert (broker.topic("state"), broker.name) == ("home/mirror/state", "broker.local:1884")
    assert parse_broker("mqtt://localhost/x").port == 1883


def test_a_password_is_never_shown() -> None:
    assert "secret" not in repr(parse_broker("mqtt://me:secret@localhost/x"))
    with pytest.raises(SettingsError) as refused:
        parse_broker("mqtt://me:secret@localhost:port/x")
    assert "secret" not in str(refused.value)


def test_json_lines_has_one_object_a_report(tmp_path: Path) -> None:
    path = tmp_path / "moods.jsonl"
    publish(JsonLinesSink(str(path)), report(0), report(1, "happy", 0.8))
    publish(JsonLinesSink(str(path)), report(2))
    first, second, third = map(json.loads, path.read_text().splitlines())
    assert first == {
        "time": 0.0,
        "frame": 0,
        "faces": [],
        "mood": None,
        "confidence": None,
        "problem": None,
        "reason": None,
        "still": [],
    }
    assert second["faces"] == [
        {
            "track": 1,
            "box": [10, 20, 30, 30],
            "score": 0.9,
            "label": "happy",
            "probabilities": {"happy": 0.75, "sad": 0.25},
            "reason": None,
        }
    ]
    assert third["frame"] == 2


def test_json_lines_go_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    publish(JsonLinesSink("-"), report(0), report(1))
    assert [json.loads(line)["frame"] for line in capfd.readouterr().out.splitlines()] == [0, 1]


def test_json_lines_to_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"absent/moods.jsonl: cannot be written: No such file"):
        publish(JsonLinesSink(str(tmp_path / "absent/moods.jsonl")))


def test_a_full_disk_is_said() -> None:
    with pytest.raises(SinkError, match="/dev/full: cannot be written: No space left"):
        publish(JsonLinesSink("/dev/full"), report())


def test_the_console_says_each_mood_once(capfd: pytest.CaptureFixture[str]) -> None:
    moods = [None, None, "happy", "happy", "sad", None]
    publish(ConsoleSink(), *(report(frame, mood, 0.8) for frame, mood in enumerate(moods)))
    said = [line.split()[2] for line in capfd.readouterr().out.splitlines()]
    assert said == ["no", "happy", "sad", "no"]


def test_a_line_for_people_reads_well() -> None:
    assert describe(report(123, "happy", 0.874)) == "   12.3 s  happy      87 %  (1 face)"
    assert describe(report(5)) == "    0.5 s  no face"
    dark = msgspec.structs.replace(report(5, "unknown"), reason="dark")
    assert describe(dark) == "    0.5 s  unknown   dark    (1 face)"


def test_a_pipe_that_nobody_reads_holds_up_only_its_own_sink() -> None:
    reading, writing = os.pipe()

    async def whole() -> None:
        async with ConsoleSink(writing, close_seconds=0.05) as sink:
            moods = ("happy", "sad")
            stuck = asyncio.create_task(publish_many(sink, moods * 4000))
            # The loop lives on while the sink's thread hangs in the full pipe.
            await asyncio.wait([stuck], timeout=0.5)
            assert not stuck.done()
            stuck.cancel()

    async def publish_many(sink: ConsoleSink, moods: tuple[str, ...]) -> None:
        for frame, mood in enumerate(moods):
            await sink.publish(report(frame, mood, 0.5))

    asyncio.run(whole())
    os.close(reading)
    for thread in threading.enumerate():
        if thread.name.startswith("lines"):
            thread.join()
    os.close(writing)
