"""Health: which part is at fault, and what `/healthz` then answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from edgefer.errors import ServerError, SinkError
from edgefer.messages import Box, Detection, Report
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.pipeline.health import CAMERA_SECONDS, INFERENCE_SECONDS, SINK_SECONDS, Health
from edgefer_device.pipeline.runner import Pipeline
from edgefer_device.pipeline.sink import Sink, SinkQueue
from edgefer_device.sinks.opening import SinkContext, open_sink, open_sinks
from edgefer_device.sinks.status_pages import MetricsSink
from support.bundles import manifest
from support.live_mirror import mirror_sink
from support.scripted import (
    RecordingSink,
    ScriptedCamera,
    ScriptedClassifier,
    ScriptedDetector,
    blank_frames,
)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def report(frame: int = 0) -> Report:
    return Report(frame / 10, frame, (), None, None)


async def delivered(health: Health, sink: Sink, *reports: Report) -> None:
    """Deliver reports through the sink's queue."""
    queue = SinkQueue(sink, True, health.monitor_of(sink))
    for one in reports:
        await queue.offer(one)
    await queue.end()
    await queue.deliver()


def faults(health: Health) -> list[str]:
    return [name for name, part in health.state().parts.items() if not part.ok]


def test_nothing_is_well_before_it_has_worked(clock: Clock) -> None:
    health = Health(clock)
    assert not health.state().ok
    assert faults(health) == ["camera", "inference"]
    assert health.state().camera.note == "nothing yet"


def test_frames_and_reports_make_it_well(clock: Clock) -> None:
    health = Health(clock)
    health.on_frame(0)
    assert faults(health) == ["inference"]
    clock.now += 0.04
    health.on_report(report(0))
    assert health.latency(report(0)) == pytest.approx(0.04)
    assert health.state().ok
    assert (health.frames, health.state().camera.age) == (1, 0.04)


def test_a_camera_that_owes_a_frame_is_at_fault_and_the_idle_inference_is_not(clock: Clock) -> None:
    health = Health(clock)
    health.on_frame(0)
    health.on_report(report(0))
    health.camera.begin()
    clock.now += CAMERA_SECONDS + 1
    assert faults(health) == ["camera"]
    assert health.state().camera.note == "silent for 6 s"


def test_a_camera_that_nobody_asks_is_well(clock: Clock) -> None:
    health = Health(clock)
    health.on_frame(0)  # whoever took it is busy and does not ask for the next
    health.on_report(report(0))
    clock.now += 60
    assert health.state().ok


def test_an_inference_that_owes_a_report_is_at_fault(clock: Clock) -> None:
    health = Health(clock)
    health.on_frame(0)
    health.on_report(report(0))
    for number in range(1, 11):
        health.on_frame(number)
        clock.now += INFERENCE_SECONDS / 9
    assert faults(health) == ["inference"]


def test_a_sink_that_holds_a_report_is_at_fault(clock: Clock) -> None:
    class Stuck(RecordingSink):
        async def publish(self, report: Report) -> None:
            await super().publish(report)
            await asyncio.Event().wait()

    async def whole() -> None:
        health = Health(clock)
        sink = health.watch_sink("file", Stuck())
        health.monitor_of(sink).done()
        assert health.state().sinks["file"].ok
        stuck = asyncio.create_task(delivered(health, sink, report()))
        while not sink.reports:
            await asyncio.sleep(0)
        clock.now += SINK_SECONDS + 1
        assert not health.state().sinks["file"].ok
        stuck.cancel()

    asyncio.run(whole())


def test_a_sink_that_has_nothing_to_do_is_well(clock: Clock) -> None:
    health = Health(clock)
    health.monitor_of(health.watch_sink("file", RecordingSink())).done()
    clock.now += 3600
    assert health.state().sinks["file"].ok


def test_a_sink_reports_its_own_fault(clock: Clock) -> None:
    class Offline(RecordingSink):
        fault: str | None = "no broker"

    health = Health(clock)
    sink = health.watch_sink("mqtt", Offline())
    health.monitor_of(sink).done()
    assert health.state().sinks["mqtt"].note == "no broker"
    sink.fault = None
    assert health.state().sinks["mqtt"].ok


def test_reports_that_a_sink_was_too_slow_for_are_counted(clock: Clock) -> None:
    health, inner = Health(clock), RecordingSink()
    sink = health.watch_sink("a", inner)
    asyncio.run(delivered(health, sink, *map(report, range(11))))
    assert [one.frame for one in inner.reports] == list(range(3, 11))
    assert health.state().sinks["a"].dropped == 3


def test_what_a_sink_raises_is_raised(clock: Clock) -> None:
    class Refusing(RecordingSink):
        async def publish(self, report: Report) -> None:
            raise SinkError("full")

    with pytest.raises(SinkError, match="full"):
        asyncio.run(delivered(Health(clock), Refusing(), report()))


def test_several_sinks_of_a_kind_have_names_of_their_own(clock: Clock) -> None:
    health = Health(clock)
    for _ in range(3):
        health.watch_sink("jsonl", RecordingSink())
    assert list(health.state().sinks) == ["jsonl", "jsonl 2", "jsonl 3"]


def test_a_pause_is_no_fault(clock: Clock) -> None:
    health = Health(clock)
    health.camera.begin()
    clock.now += 3600
    health.paused = True
    assert health.state().ok
    assert health.state().camera.note == "paused"


def test_a_problem_that_is_told_is_the_cameras_until_a_frame_comes(clock: Clock) -> None:
    health = Health(clock)
    health.on_frame(0)
    health.on_report(report(0))
    health.on_report(Report(2.5, 0, (), None, None, problem="unplugged"))
    assert faults(health) == ["camera"]
    assert health.state().camera.note == "unplugged"
    health.on_frame(1)
    assert faults(health) == []


def test_memory_of_frames_without_reports_is_bounded(clock: Clock) -> None:
    health = Health(clock)
    for number in range(500):
        health.on_frame(number)
        clock.now += 0.03
    assert health.latency(report(499)) is not None
    assert health.latency(report(1)) is None


def test_a_running_pipeline_is_well_from_end_to_end(tmp_path: Path) -> None:
    health = Health()
    classifier = FaceClassifier(
        ScriptedClassifier([(0.9, *[0.02] * 6)]), manifest(), manifest().decoder()
    )
    face = Detection(Box(40, 30, 60, 60), 0.95)
    tracker = Tracker(TrackingSettings())
    analyzer = FrameAnalyzer(ScriptedDetector([[face]]), classifier, tracker, MoodSettings())
    camera = ScriptedCamera(blank_frames(50))
    files = (f"jsonl:{tmp_path / 'a'}", f"jsonl:{tmp_path / 'b'}")
    opened = open_sinks(files, SinkContext(health=health))
    asyncio.run(asyncio.wait_for(Pipeline(camera, analyzer, opened.sinks, health=health).run(), 20))
    state = health.state()
    assert state.ok
    assert list(state.sinks) == ["jsonl", "jsonl 2"]
    metrics = opened.metrics
    assert (health.frames, metrics.reports, sum(metrics.latencies)) == (50, 50, 50)


# --- the page ------------------------------------------------------------------


def metrics_sink(context: SinkContext, place: str = "127.0.0.1:0") -> MetricsSink:
    sink = open_sink(f"metrics:{place}", context)
    assert isinstance(sink, MetricsSink)
    return sink


async def answer(url: str) -> tuple[int, dict[str, Any]]:
    async with ClientSession() as session, session.get(url) as got:
        assert got.content_type == "application/json"
        return got.status, await got.json()


def test_the_page_tells_the_truth_with_its_status_and_its_words(clock: Clock) -> None:
    async def whole() -> None:
        health = Health(clock)
        context = SinkContext(health=health)
        async with metrics_sink(context) as sink:
            url = f"http://127.0.0.1:{sink.server.port}/healthz"
            status, said = await answer(url)
            assert (status, said["ok"], said["camera"]["ok"]) == (503, False, False)
            health.on_frame(0)
            health.on_report(report(0))
            status, said = await answer(url)
            assert (status, said["ok"]) == (200, True)
            health.camera.begin()
            clock.now += 30
            status, said = await answer(url)
            assert status == 503
            camera = {"ok": False, "age": 30.0, "note": "silent for 30 s", "dropped": 0}
            assert said["camera"] == camera
            assert said["inference"]["ok"]

    asyncio.run(whole())


def test_the_mirror_serves_it_too(clock: Clock) -> None:
    async def whole() -> None:
        async with mirror_sink(SinkContext(health=Health(clock))) as mirror:
            status, said = await answer(mirror.server.url + "healthz")
            assert (status, said["sinks"]) == (503, {})

    asyncio.run(whole())


def test_strangers_are_turned_away() -> None:
    async def whole() -> int:
        context = SinkContext()
        async with metrics_sink(context) as sink:
            rebound = {"Host": f"evil.example:{sink.server.port}"}
            url = f"http://127.0.0.1:{sink.server.port}/healthz"
            async with ClientSession() as session, session.get(url, headers=rebound) as got:
                return got.status

    assert asyncio.run(whole()) == 421


def test_a_port_in_use_is_one_clear_line() -> None:
    async def whole() -> str:
        async with mirror_sink() as mirror:
            with pytest.raises(ServerError) as refused:
                async with open_sink(f"metrics:127.0.0.1:{mirror.server.port}"):
                    pass
            return str(refused.value)

    line = asyncio.run(whole())
    assert line.startswith("metrics: cannot listen on 127.0.0.1 port ")
    assert "Address already in use" in line
    assert "\n" not in line


def test_an_open_address_asks_for_a_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edgefer_device")

    async def whole() -> list[int]:
        context = SinkContext(state=tmp_path)
        async with metrics_sink(context, "0.0.0.0:0") as sink, ClientSession() as session:
            await sink.publish(report())
            url = f"http://127.0.0.1:{sink.server.port}/metrics"
            secret = (tmp_path / "page-token").read_text().strip()
            # What a proxy on this machine passes on comes from elsewhere.
            proxied = {"X-Forwarded-For": "192.0.2.7"}
            answers = []
            for headers in (
                {},
                proxied,
                {**proxied, "Authorization": f"Bearer {secret}"},
                {**proxied, "Authorization": "Bearer guessed"},
            ):
                async with session.get(url, headers=headers) as got:
                    answers.append(got.status)
        await sink.__aexit__()
        return answers

    assert asyncio.run(whole()) == [200, 401, 200, 401]
    (said,) = caplog.messages
    assert said.startswith("metrics on 0.0.0.0 port ")
    assert said.endswith(f"other machines need the token in {tmp_path / 'page-token'}")
