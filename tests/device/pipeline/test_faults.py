"""What goes wrong around the daemon, and that no wrong mood comes of it."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.bundle import open_bundle
from edgefer.messages import Box, Detection, Report
from edgefer_device.cameras.camera import Frame
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.pipeline.frame_rate import FrameRate, FrameRateSettings
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.runner import Pipeline
from edgefer_device.sinks.content.rule import Rule
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.content.sink import Actions, ContentSink
from edgefer_device.sinks.history.sink import HistorySink
from edgefer_device.sinks.history.store import HistoryStore
from edgefer_device.sinks.message_board import MessageBoard
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
SAD = (0.01, 0.01, 0.01, 0.01, 0.94, 0.01, 0.01)
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def real_analyzer() -> FrameAnalyzer:
    bundle = open_bundle("small")
    classifier = FaceClassifier.open(bundle)
    return FrameAnalyzer(
        open_detector(None), classifier, Tracker(TrackingSettings()), MoodSettings()
    )


def test_after_a_minute_without_a_picture_the_face_before_is_forgotten() -> None:
    # 21 frames before the gap, of which the first two only confirm that it is a face.
    script = [HAPPY] * 19 + [SAD]
    classifier = FaceClassifier(ScriptedClassifier(script), manifest(), manifest().decoder())
    tracker = Tracker(TrackingSettings())
    analyzer = FrameAnalyzer(ScriptedDetector([[FACE]]), classifier, tracker, MoodSettings())
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)

    def process(time: float) -> Report:
        # No two frames are alike, so that each is read.
        image = np.roll(noise, 5 * round(10 * time), axis=1)
        return analyzer.process(Frame(image, time, int(10 * time)))

    assert look_until(process, 0.0, 2.1)[-1] == "happy"
    # Somebody else stands there now, in the very same place.
    after = look_until(process, 62.0, 64.0)
    assert "happy" not in after
    assert after[-1] == "sad"


def look_until(process: object, begin: float, end: float) -> list[str | None]:
    assert callable(process)
    return [process(step / 10).mood for step in range(int(10 * begin), int(10 * end))]


def test_a_disk_that_is_full_at_the_start_is_waited_for(tmp_path: Path) -> None:
    store, now = HistoryStore(tmp_path / "h"), [1_000_000.0]
    store.add({1: {"happy": 1.0}})
    sink = HistorySink(store, 1, lambda: now[0], lambda: now[0])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def whole() -> None:
        # No file may be longer than nothing: what a full disk does to whoever writes.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            await sink.__aenter__()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert sink.fault == "the history cannot be written"
        for second in range(90):
            await sink.publish(Report(float(second), second, (), "happy", 0.9))
            now[0] += 1
        assert sink.fault is None
        await sink.__aexit__()

    asyncio.run(whole())
    assert sum(held.seconds for held in store.spans()) == pytest.approx(89, abs=1)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_an_hour_loses_no_minute_and_invents_none(
    tmp_path: Path, jump: float
) -> None:
    now, clock = [1_000_000.0], [0.0]
    sink = HistorySink(HistoryStore(tmp_path / "h"), 1, lambda: clock[0], lambda: now[0])

    async def whole() -> float:
        async with sink:
            for second in range(240):
                if second == 120:
                    now[0] += jump
                await sink.publish(Report(float(second), second, (), "happy", 0.9))
                now[0] += 1
                clock[0] += 1
        return sum(held.seconds for held in HistoryStore(tmp_path / "h").spans())

    assert asyncio.run(whole()) == pytest.approx(239, abs=2)


def test_a_clock_that_jumps_fires_no_rule_twice() -> None:
    from datetime import datetime, timedelta

    class Counting(Actions):
        fired = 0

        def start(self, rule: Rule, mood: str, minutes: int = 0) -> None:
            self.fired += 1

        async def close(self) -> None:
            """Nothing was begun."""

    actor, day, clock = Counting(None), [datetime(2026, 3, 29, 1, 59)], [0.0]
    settings = ContentSettings(rule=(Rule(mood="happy", minutes=1, rest=30, text="Hello"),))
    sink = ContentSink(settings, MessageBoard(), actor, lambda: clock[0], lambda: day[0])

    async def whole() -> None:
        for second in range(600):
            if second in (200, 400):
                day[0] += timedelta(hours=1 if second == 200 else -1)
            await sink.publish(Report(0.0, second, (), "happy", 0.9))
            clock[0] += 1

    asyncio.run(whole())
    assert actor.fired == 1


def test_twenty_faces_are_read_one_and_all() -> None:
    boxes = [Box(130.0 * (at % 5), 120.0 * (at // 5), 100, 100) for at in range(20)]
    found = [Detection(box, 0.95) for box in boxes]
    bundle = open_bundle("small")
    classifier = FaceClassifier.open(bundle)
    tracker = Tracker(TrackingSettings())
    analyzer = FrameAnalyzer(ScriptedDetector([found]), classifier, tracker, MoodSettings())
    sink = RecordingSink()
    camera = ScriptedCamera(Frame(noise(480, 640, at), at / 10, at) for at in range(12))
    asyncio.run(asyncio.wait_for(Pipeline(camera, analyzer, [sink]).run(), 60))
    assert [len(report.faces) for report in sink.reports[3:]] == [20] * 9
    assert {face.track for face in sink.reports[-1].faces} == set(range(1, 21))


def noise(height: int, width: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_4k_stream_is_analysed_and_its_frames_do_not_pile_up(data: Path, tmp_path: Path) -> None:
    clip = open_camera(f"file:{data / 'clips/single_face.mp4'}")
    first = next(iter(clip.frames())).image
    clip.close()
    large = cv2.resize(first, (3840, 2160))
    cv2.imwrite(str(tmp_path / "4k.jpg"), large)
    camera = open_camera(f"images:{tmp_path / '4k.jpg'}?rate=30&pace=real&loop=1")
    before = peak_mb()

    class Enough(RecordingSink):
        async def publish(self, report: Report) -> None:
            await super().publish(report)
            if sum(bool(one.faces) for one in self.reports) == 15:
                pipeline.stop()

    async def whole() -> None:
        await asyncio.wait_for(pipeline.run(), 60)

    rate = FrameRate(FrameRateSettings())
    pipeline = Pipeline(camera, real_analyzer(), [Enough()], frame_rate=rate)
    asyncio.run(whole())
    # A frame has 25 MB; the one analysed, the newest and the one being read are three.
    assert peak_mb() - before < 400


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def test_a_camera_faster_than_its_reader_loses_frames_and_never_gains_on_memory() -> None:
    ended = threading.Event()

    class Slow(ScriptedDetector):
        def detect(self, image: object) -> list[Detection]:
            assert ended.wait(20)
            return []

    def frames() -> Iterator[Frame]:
        yield from blank_frames(2000)
        ended.set()

    classifier = FaceClassifier(ScriptedClassifier([HAPPY]), manifest(), manifest().decoder())
    tracker = Tracker(TrackingSettings(interval=0))
    analyzer = FrameAnalyzer(Slow([]), classifier, tracker, MoodSettings())
    sink, health = RecordingSink(), Health()
    pipeline = Pipeline(ScriptedCamera(frames(), live=True), analyzer, [sink], health=health)
    asyncio.run(asyncio.wait_for(pipeline.run(), 30))
    assert len(sink.reports) <= 3
    assert sink.reports[-1].frame == 1999
    assert health.state().inference.dropped == 2000 - len(sink.reports)
