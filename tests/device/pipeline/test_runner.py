"""The running whole: what reaches the sinks, what is dropped, and how it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator

import pytest

from edgefer.errors import CameraLost, SinkError
from edgefer.messages import Box, Detection, Report
from edgefer_device.cameras.camera import Camera, Frame
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.pipeline.latest_slot import LatestSlot
from edgefer_device.pipeline.runner import Limit, Pipeline, Timing
from edgefer_device.pipeline.sink import Sink
from support.bundles import manifest
from support.scripted import (
    RecordingSink,
    ScriptedCamera,
    ScriptedClassifier,
    ScriptedDetector,
    blank_frames,
)

FACE = Detection(Box(40, 30, 60, 60), 0.95)
HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)


def analyzer(detector: ScriptedDetector | None = None) -> FrameAnalyzer:
    classifier = FaceClassifier(ScriptedClassifier([HAPPY]), manifest(), manifest().decoder())
    tracker = Tracker(TrackingSettings())
    return FrameAnalyzer(
        detector or ScriptedDetector([[FACE]]), classifier, tracker, MoodSettings()
    )


def run(camera: Camera, *sinks: Sink, limit: Limit | None = None) -> None:
    async def whole() -> None:
        await asyncio.wait_for(Pipeline(camera, analyzer(), sinks).run(limit), timeout=20)

    asyncio.run(whole())


def numbers(sink: RecordingSink) -> list[int]:
    return [report.frame for report in sink.reports]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_every_frame_of_a_clip_reaches_every_sink_in_order() -> None:
    first, second = RecordingSink(), RecordingSink()
    run(ScriptedCamera(blank_frames(100)), first, second)
    assert numbers(first) == numbers(second) == list(range(100))


def test_a_report_tells_faces_mood_and_confidence() -> None:
    sink = RecordingSink()
    run(ScriptedCamera(blank_frames(5)), sink)
    assert [report.mood for report in sink.reports] == [None, None, "happy", "happy", "happy"]
    last = sink.reports[-1]
    assert last.time == pytest.approx(0.4)
    assert 0.94 < (last.confidence or 0.0) < 1
    (face,) = last.faces
    assert (face.track, face.box, face.score, face.label) == (1, FACE.box, 0.95, "happy")
    assert sum(face.probabilities.values()) == pytest.approx(1.0, abs=1e-6)


def test_a_pipeline_without_sinks_runs() -> None:
    camera = ScriptedCamera(blank_frames(10))
    run(camera)
    assert camera.closed


def test_a_limit_of_frames_ends_it() -> None:
    sink = RecordingSink()
    camera = ScriptedCamera(blank_frames(10_000))
    run(camera, sink, limit=Limit(frames=7))
    assert numbers(sink) == list(range(7))
    assert camera.closed


def test_a_limit_of_seconds_counts_on_the_cameras_clock() -> None:
    sink = RecordingSink()
    run(ScriptedCamera(blank_frames(10_000, rate=10)), sink, limit=Limit(seconds=2.0))
    assert sink.reports[-1].time == pytest.approx(2.0)


def test_a_frame_that_was_on_its_way_when_a_stall_was_reported_does_not_turn_back_time() -> None:
    now = [0.0]
    reported, stalled, processed = threading.Event(), threading.Event(), threading.Semaphore(0)

    class Telling(RecordingSink):
        async def publish(self, report: Report) -> None:
            await super().publish(report)
            (stalled if report.problem else reported).set()

    class Counting(ScriptedDetector):
        def detect(self, image: object) -> list[Detection]:
            processed.release()
            return []

    def frames() -> Iterator[Frame]:
        first, late, next_ = blank_frames(3, rate=1.0)
        yield first
        assert processed.acquire(timeout=20)
        assert reported.wait(20)
        now[0] = 3.0
        assert stalled.wait(20)
        yield late
        assert processed.acquire(timeout=20)
        yield dataclasses.replace(next_, time=4.0)

    async def whole() -> list[Report]:
        camera, sink = ScriptedCamera(frames(), live=True), Telling()
        pipeline = Pipeline(
            camera, analyzer(Counting([])), [sink], lambda: now[0], timing=Timing(repeat=0.01)
        )
        await asyncio.wait_for(pipeline.run(), 20)
        return sink.reports

    reports = asyncio.run(whole())
    assert {report.time for report in reports} == {0.0, 3.0, 4.0}
    times = [report.time for report in reports]
    assert times == sorted(times)


def test_a_lost_camera_is_said_after_all_reports_before_it() -> None:
    sink = RecordingSink()
    camera = ScriptedCamera(blank_frames(20), end=CameraLost("unplugged"))
    with pytest.raises(CameraLost, match="unplugged"):
        run(camera, sink)
    assert numbers(sink) == list(range(20))
    assert camera.closed


def test_an_error_in_the_inference_ends_it() -> None:
    class Broken(ScriptedDetector):
        def detect(self, image: object) -> list[Detection]:
            raise RuntimeError("delegate gone")

    camera = ScriptedCamera(blank_frames(1000))

    async def whole() -> None:
        await Pipeline(camera, analyzer(Broken([])), [RecordingSink()]).run()

    with pytest.raises(RuntimeError, match="delegate gone"):
        asyncio.run(whole())
    assert camera.closed


class RefusingSink(RecordingSink):
    """Cannot be entered."""

    async def __aenter__(self) -> RefusingSink:
        raise SinkError("no broker")


class BreakingSink(RecordingSink):
    """Takes three reports, then fails."""

    async def publish(self, report: Report) -> None:
        await super().publish(report)
        if len(self.reports) == 3:
            raise SinkError("disk full")


def test_a_sink_that_refuses_ends_it_before_a_frame_is_taken() -> None:
    camera, sink = ScriptedCamera(blank_frames(10)), RecordingSink()
    with pytest.raises(SinkError, match="no broker"):
        run(camera, sink, RefusingSink())
    assert sink.reports == []
    assert camera.closed


@pytest.mark.parametrize("live", [True, False])
def test_a_sink_that_breaks_ends_it(live: bool) -> None:
    endless = ScriptedCamera(blank_frames(1_000_000), live=live)
    with pytest.raises(SinkError, match="disk full"):
        run(endless, RecordingSink(), BreakingSink())
    assert endless.closed


class Gate(RecordingSink):
    """Lets the camera give the next frame once the last was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Semaphore(1)

    async def publish(self, report: Report) -> None:
        await super().publish(report)
        self.open.release()

    def frames(self, count: int) -> Iterator[Frame]:
        for frame in blank_frames(count):
            self.open.acquire()
            yield frame


class SlowSink(RecordingSink):
    """Is not done with a report before it is told."""

    def __init__(self, told: asyncio.Event) -> None:
        super().__init__()
        self._told = told

    async def publish(self, report: Report) -> None:
        await super().publish(report)
        await self._told.wait()


class LastGate(Gate):
    """A gate that tells the slow sink when the last report came."""

    def __init__(self, last: int, tell: asyncio.Event) -> None:
        super().__init__()
        self._last, self._tell = last, tell

    async def publish(self, report: Report) -> None:
        await super().publish(report)
        if report.frame == self._last:
            self._tell.set()


def test_a_slow_sink_loses_its_oldest_reports_and_slows_nobody() -> None:
    async def whole() -> tuple[RecordingSink, RecordingSink]:
        told = asyncio.Event()
        gate, slow = LastGate(29, told), SlowSink(told)
        camera = ScriptedCamera(gate.frames(30), live=True)
        await asyncio.wait_for(Pipeline(camera, analyzer(), [slow, gate]).run(), timeout=20)
        return gate, slow

    fast, slow = asyncio.run(whole())
    assert numbers(fast) == list(range(30))
    assert numbers(slow) == [0, *range(22, 30)]


def test_a_slow_sink_loses_nothing_of_a_clip() -> None:
    class Hesitant(RecordingSink):
        async def publish(self, report: Report) -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            await super().publish(report)

    hesitant = Hesitant()
    run(ScriptedCamera(blank_frames(50)), RecordingSink(), hesitant)
    assert numbers(hesitant) == list(range(50))


@pytest.mark.parametrize("live", [True, False])
def test_stop_ends_it_even_with_a_sink_that_hangs(live: bool) -> None:
    async def whole() -> RecordingSink:
        hanging = SlowSink(asyncio.Event())
        camera = ScriptedCamera(blank_frames(1_000_000), live=live)
        pipeline = Pipeline(camera, analyzer(), [hanging], timing=Timing(drain=0.05))
        running = asyncio.create_task(pipeline.run())
        while not hanging.reports:
            await asyncio.sleep(0)
        pipeline.stop()
        pipeline.stop()
        await asyncio.wait_for(running, timeout=20)
        assert camera.closed
        return hanging

    assert len(numbers(asyncio.run(whole()))) == 1


def test_stop_ends_the_wait_for_a_sink_after_the_last_frame() -> None:
    async def whole() -> None:
        hanging, camera = SlowSink(asyncio.Event()), ScriptedCamera(blank_frames(3))
        pipeline = Pipeline(camera, analyzer(), [hanging], timing=Timing(drain=0.05))
        running = asyncio.create_task(pipeline.run())
        while not hanging.reports or not camera.closed:
            await asyncio.sleep(0)
        assert not running.done()
        pipeline.stop()
        await asyncio.wait_for(running, timeout=20)

    asyncio.run(whole())


def test_stop_before_it_runs_ends_it_at_once() -> None:
    sink = RecordingSink()

    async def whole() -> None:
        pipeline = Pipeline(ScriptedCamera(blank_frames(1_000_000)), analyzer(), [sink])
        pipeline.stop()
        await asyncio.wait_for(pipeline.run(), timeout=20)

    asyncio.run(whole())
    assert sink.reports == []


def test_a_handover_keeps_the_newest_for_a_live_camera() -> None:
    frames: LatestSlot[int] = LatestSlot(lossy=True)
    assert all(frames.put(number) for number in range(5))
    frames.end()
    assert (frames.take(), frames.take(), frames.dropped) == (4, None, 4)
    assert not frames.put(5)


def test_a_handover_waits_for_a_clip() -> None:
    frames: LatestSlot[int] = LatestSlot(lossy=False)
    giver = threading.Thread(target=lambda: [frames.put(number) for number in range(50)])
    giver.start()
    assert [frames.take() for _ in range(50)] == list(range(50))
    giver.join()
    assert frames.dropped == 0


def test_a_stopped_handover_releases_both_sides() -> None:
    frames: LatestSlot[int] = LatestSlot(lossy=False)
    frames.put(1)
    answers: list[bool] = []
    giver = threading.Thread(target=lambda: answers.append(frames.put(2)))
    giver.start()
    frames.end(drop=True)
    giver.join()
    assert answers == [False]
    assert frames.take() is None
