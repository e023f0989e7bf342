"""Prometheus: what stands at `/metrics`, read with prometheus-client's own parsers."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import ClientSession
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from edgefer import __version__
from edgefer.messages import Box, Face, Report
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.opening import SinkContext
from edgefer_device.sinks.prometheus import Metrics, exposition
from support.live_mirror import mirror_sink

Samples = dict[tuple[str, str], float]
"""Values by name and the one label that ours have."""


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def report(mood: str | None, frame: int = 0) -> Report:
    if mood is None:
        return Report(frame / 10, frame, (), None, None)
    face = Face(1, Box(0, 0, 9, 9), 0.9, mood, {"happy": 0.7, "sad": 0.2, "neutral": 0.1})
    return Report(frame / 10, frame, (face,), mood, 0.7)


def publish(metrics: Metrics, clock: Clock, moods: Sequence[str | None], step: float) -> None:
    async def whole() -> None:
        for frame, mood in enumerate(moods):
            await metrics.publish(report(mood, frame))
            clock.now += step

    asyncio.run(whole())


def samples(metrics: Metrics) -> Samples:
    text, kind = exposition(metrics, "")
    assert kind.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


def test_moods_are_counted_by_time_and_change() -> None:
    clock = Clock()
    metrics = Metrics(Health(clock), clock)
    publish(metrics, clock, ["neutral"] * 10 + ["happy"] * 20 + [None] * 5 + ["happy"] * 2, 0.5)
    told = samples(metrics)
    assert told["edgefer_reports_total", ""] == 37
    assert told["edgefer_mood_seconds_total", "neutral"] == pytest.approx(5.0)
    assert told["edgefer_mood_seconds_total", "happy"] == pytest.approx(10.5)
    assert told["edgefer_mood_seconds_total", "sad"] == 0
    assert told["edgefer_mood_changes_total", ""] == 1
    assert told["edgefer_faces", ""] == 1
    assert told["edgefer_mood_confidence", ""] == pytest.approx(0.7)
    now = {mood: told["edgefer_mood", mood] for mood in ("happy", "sad", "neutral")}
    assert now == {"happy": 1, "sad": 0, "neutral": 0}
    assert told["edgefer_build_info", __version__] == 1


def test_a_silence_counts_for_nothing_and_nothing_is_told_of_now() -> None:
    clock = Clock()
    metrics = Metrics(Health(clock), clock)
    publish(metrics, clock, ["happy", "happy"], 1.0)
    clock.now += 3600
    told = samples(metrics)
    assert not {name for name, _ in told} & {"edgefer_mood", "edgefer_faces"}
    publish(metrics, clock, ["happy"], 0.0)
    assert samples(metrics)["edgefer_mood_seconds_total", "happy"] == pytest.approx(1.0)


def test_a_camera_without_pictures_is_no_empty_room() -> None:
    clock = Clock()
    metrics = Metrics(Health(clock), clock)
    publish(metrics, clock, ["happy", "happy"], 1.0)
    asyncio.run(metrics.publish(Report(3.0, 1, (), None, None, "unplugged")))
    told = samples(metrics)
    assert ("edgefer_faces", "") not in told
    assert told["edgefer_reports_total", ""] == 2


def test_latency_is_a_histogram_from_capture_to_report() -> None:
    clock = Clock()
    health = Health(clock)
    metrics = Metrics(health, clock)

    async def whole() -> None:
        for number, seconds in enumerate((0.004, 0.04, 0.04, 30.0)):
            health.on_frame(number)
            clock.now += seconds
            await metrics.publish(report("happy", number))

    asyncio.run(whole())
    told = samples(metrics)
    counts = [told["edgefer_latency_seconds_bucket", edge] for edge in ("0.01", "0.05", "+Inf")]
    assert counts == [1, 3, 4]
    assert told["edgefer_latency_seconds_count", ""] == 4
    assert told["edgefer_latency_seconds_sum", ""] == pytest.approx(30.084)
    assert told["edgefer_camera_frames_total", ""] == 4


def test_health_is_told_part_by_part() -> None:
    clock = Clock()
    health = Health(clock)
    metrics = Metrics(health, clock)
    health.on_frame(0)
    health.on_report(report("happy", 0))
    health.inference.dropped = 3
    assert samples(metrics)["edgefer_healthy", ""] == 1
    health.camera.begin()
    clock.now += 60
    told = samples(metrics)
    assert told["edgefer_healthy", ""] == 0
    assert told["edgefer_part_healthy", "camera"] == 0
    assert told["edgefer_part_healthy", "inference"] == 1
    assert told["edgefer_part_age_seconds", "camera"] == 60
    assert told["edgefer_part_dropped_total", "inference"] == 3


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    text, kind = exposition(Metrics(Health()), "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    read = read_openmetrics(text.decode())  # type: ignore[no-untyped-call]  # the package's own
    names = {family.name for family in read}
    assert {"edgefer_build", "edgefer_reports", "edgefer_latency_seconds"} <= names


def test_every_metric_is_documented_and_no_other() -> None:
    clock = Clock()
    metrics = Metrics(Health(clock), clock)
    publish(metrics, clock, ["happy", "sad"], 0.1)
    metrics.health.on_frame(0)
    text, _ = exposition(metrics, "")
    names = {f"{name}_total" if kind == "counter" else name for name, kind in kinds(text)}
    table = (Path(__file__).parents[3] / "docs" / "daemon.md").read_text()
    assert names == set(re.findall(r"^\| `(edgefer_\w+)", table, re.MULTILINE))


def kinds(text: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and type of our metrics."""
    for family in read_text(text.decode()):
        if family.name.startswith("edgefer_"):
            yield family.name, family.type


def test_the_process_is_told_too() -> None:
    told = samples(Metrics(Health()))
    assert told["process_resident_memory_bytes", ""] > 1e6
    assert told["process_open_fds", ""] > 0


def test_the_mirror_serves_it() -> None:
    async def whole() -> tuple[str, str]:
        context = SinkContext()
        await context.metrics.publish(report("happy"))
        async with (
            mirror_sink(context) as mirror,
            ClientSession() as session,
            session.get(mirror.server.url + "metrics") as got,
        ):
            return got.headers["Content-Type"], await got.text()

    kind, text = asyncio.run(whole())
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert 'edgefer_mood{mood="happy"} 1.0' in text


def test_a_daemon_that_nobody_scrapes_does_not_load_the_package() -> None:
    program = (
        "import sys\n"
        "from edgefer_device.sinks.opening import open_sinks\n"
        "open_sinks(('mirror:', 'metrics:', 'webhook:https://localhost/'))\n"
        "assert not {'prometheus_client', 'sqlite3'} & set(sys.modules)"
    )
    paths = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=paths, check=True)
