"""What is told when a live camera gives nothing, and that it is told no longer than that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefer.bundle import open_bundle
from edgefer.messages import Box, Detection, Report
from edgefer_device.cameras.camera import Camera, Frame
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.pipeline.health import StallDetector
from edgefer_device.pipeline.runner import Limit, Pipeline, Timing
from support.bundles import manifest
from support.scripted import (
    RecordingSink,
    ScriptedCamera,
    ScriptedClassifier,
    ScriptedDetector,
    blank_frames,
)

FACE = Detection(Box(40, 30, 60, 60), 0.95)
STALLED = 2.0
SOON = Timing(stalled=0.3, repeat=0.02)
HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)


def analyzer() -> FrameAnalyzer:
    classifier = FaceClassifier(ScriptedClassifier([HAPPY]), manifest(), manifest().decoder())
    return FrameAnalyzer(
        ScriptedDetector([[FACE]]), classifier, Tracker(TrackingSettings()), MoodSettings()
    )


def test_silence_is_told_with_the_time_that_passes() -> None:
    now = [100.0]
    stall = StallDetector(lambda: now[0], lambda: False, STALLED)
    (frame,) = blank_frames(1)
    stall.on_frame(Frame(frame.image, 7.0, 42))
    now[0] += STALLED - 0.1
    assert stall.report() is None
    now[0] += 3.1
    expected = "the camera has given no frame for 5 s"
    assert stall.report() == Report(12.0, 42, (), None, None, problem=expected)
    stall.on_frame(Frame(frame.image, 12.5, 43))
    assert stall.report() is None
    assert stall.elapsed == 5.5


def test_a_camera_that_never_gave_anything_is_silent_too() -> None:
    now = [100.0]
    stall = StallDetector(lambda: now[0], lambda: False, STALLED)
    now[0] += 30
    told = stall.report()
    assert told is not None
    assert (told.time, told.frame, stall.elapsed) == (30.0, 0, 0.0)


class Stalling:
    """Gives some frames, nothing until it is told, then some more."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def frames(self) -> Iterator[Frame]:
        for frame in blank_frames(10):
            if frame.number == 5:
                self.goes_on.wait(20)
            yield frame


class Listening(RecordingSink):
    """Lets the camera go on once its silence was told twice."""

    def __init__(self, camera: Stalling) -> None:
        super().__init__()
        self._camera = camera

    async def publish(self, report: Report) -> None:
        await super().publish(report)
        if sum(one.problem is not None for one in self.reports) == 2:
            self._camera.goes_on.set()


def run(camera: Camera, sink: RecordingSink, limit: Limit | None = None) -> None:
    async def whole() -> None:
        await asyncio.wait_for(
            Pipeline(camera, analyzer(), [sink], timing=SOON).run(limit), timeout=30
        )

    asyncio.run(whole())


def test_while_the_camera_stands_still_no_mood_is_told() -> None:
    script = Stalling()
    sink = Listening(script)
    run(ScriptedCamera(script.frames(), live=True), sink)
    problems = [report for report in sink.reports if report.problem]
    assert problems
    for report in problems:
        assert (report.mood, report.confidence, report.faces) == (None, None, ())
        assert "the camera has given no frame for" in str(report.problem)
    assert sink.reports[-1].frame == 9
    assert sink.reports[-1].problem is None


def test_a_limit_of_time_ends_it_while_the_camera_stands_still() -> None:
    script = Stalling()
    camera = ScriptedCamera(script.frames(), live=True)
    done = threading.Timer(15, script.goes_on.set)
    done.start()
    try:
        run(camera, Releasing(script), Limit(seconds=0.9))
    finally:
        done.cancel()
        script.goes_on.set()
    assert camera.closed


class Releasing(RecordingSink):
    """Lets a camera that was closed come out of its read when all is over, as hardware does."""

    def __init__(self, script: Stalling) -> None:
        super().__init__()
        self._script = script

    async def publish(self, report: Report) -> None:
        if report.problem and report.time > 0.9:
            self._script.goes_on.set()


def test_a_clip_is_never_silent() -> None:
    script = Stalling()
    timer = threading.Timer(1.0, script.goes_on.set)
    timer.start()
    sink = RecordingSink()
    run(ScriptedCamera(script.frames()), sink)
    assert all(report.problem is None for report in sink.reports)


def moods(address: str) -> set[str | None]:
    """What the shipped model says of a clip."""
    bundle, tracker = open_bundle("small"), Tracker(TrackingSettings())
    classifier = FaceClassifier.open(bundle)
    whole = FrameAnalyzer(open_detector(), classifier, tracker, MoodSettings())
    camera = open_camera(address)
    said = {whole.process(frame).mood for frame in camera.frames()}
    camera.close()
    return said


@pytest.mark.parametrize("faults", ["every=9&black=6", "every=9&torn=6", "every=9&bright=6"])
def test_damaged_frames_make_no_mood_of_their_own(data: Path, faults: str) -> None:
    clip = f"file:{data / 'clips/single_face.mp4'}"
    assert moods(f"faulty:{clip}?{faults}") <= moods(clip)
