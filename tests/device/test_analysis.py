"""Real clips through detector, tracker and mood; the classifier's answers are scripted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bundles import manifest
from edgefer.messages import Box, Detection, Report
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier
from edgefer_device.analysis import Analyst
from edgefer_device.camera import Frame, open_camera
from edgefer_device.faces import FaceDetector, open_detector
from edgefer_device.mood import MoodSettings
from edgefer_device.reading import Reader
from edgefer_device.scripted import ScriptedClassifier, ScriptedDetector, blank_frames
from edgefer_device.tracker import Tracker, TrackingSettings

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)
SAD = (0.01, 0.01, 0.01, 0.01, 0.94, 0.01, 0.01)
LEAVES = 2.37
"""Last moment of face_noface.mov in which the face is there, seconds."""


def analyst(
    detector: FaceDetector, classifier: Classifier | None = None, interval: float = 0.12
) -> Analyst:
    reader = Reader(classifier or ScriptedClassifier([HAPPY]), manifest())
    return Analyst(detector, reader, Tracker(TrackingSettings(interval)), MoodSettings())


def reports(clip: Path, detector: str) -> list[Report]:
    watcher, camera = analyst(open_detector(detector)), open_camera(f"file:{clip}")
    try:
        return [watcher.look(frame) for frame in camera.frames()]
    finally:
        camera.close()


@pytest.mark.parametrize("name", ["help.mkv", "hungry.mkv", "thanks.mkv", "single_face.mp4"])
def test_one_person_is_one_track(data: Path, name: str) -> None:
    seen = reports(data / "clips" / name, "blazeface")
    assert {face.track for report in seen for face in report.faces} == {1}
    assert all(len(report.faces) == 1 for report in seen[5:])
    assert all(report.mood == "happy" for report in seen[5:])


@pytest.mark.parametrize("detector", ["blazeface", "haar"])
def test_where_nobody_is_no_mood_is_told(data: Path, detector: str) -> None:
    for report in reports(data / "clips/no_face.mp4", detector):
        assert (report.mood, report.confidence, report.faces) == (None, None, ())


@pytest.mark.parametrize("detector", ["blazeface", "haar"])
def test_a_face_that_left_is_forgotten_soon(data: Path, detector: str) -> None:
    seen = reports(data / "clips/face_noface.mov", detector)
    before = [report for report in seen if 0.5 < report.time <= LEAVES]
    after = [report for report in seen if report.time > LEAVES + 1.5]
    assert before
    assert after
    assert all(report.mood == "happy" for report in before)
    assert all(report.mood is None for report in after)


def frames(count: int) -> list[Frame]:
    return list(blank_frames(count, rate=30))


def test_the_detector_rests_while_nothing_changes() -> None:
    detector = ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]])
    watcher = analyst(detector, interval=0.2)
    told = [watcher.look(frame) for frame in frames(90)]
    assert all(len(report.faces) == 1 for report in told[2:])
    assert detector.calls <= 3 + 3 / 0.2


def test_the_mood_is_that_of_the_largest_face() -> None:
    small, large = Detection(Box(10, 10, 40, 40), 0.9), Detection(Box(70, 30, 80, 80), 0.9)

    class InTurn:
        """Reads the first face as happy, the second as sad."""

        def logits(self, chips: Pixels) -> Logits:
            return np.log(np.array([HAPPY, SAD][: len(chips)], np.float32))

    watcher = analyst(ScriptedDetector([[small, large]]), InTurn())
    last = [watcher.look(frame) for frame in frames(5)][-1]
    assert [face.label for face in last.faces] == ["happy", "sad"]
    assert last.faces[0].box == large.box
    assert last.mood == "happy"


def test_a_missed_face_keeps_its_mood_and_is_not_read() -> None:
    face = [Detection(Box(40, 30, 60, 60), 0.95)]
    classifier = ScriptedClassifier([HAPPY, HAPPY, SAD])
    watcher = analyst(ScriptedDetector([face, face, face, face, []]), classifier, interval=0.0)
    told = [watcher.look(frame) for frame in frames(12)]
    assert len(classifier.chips) == 2
    assert [report.mood for report in told[4:]] == ["happy"] * 8


def test_a_face_half_outside_the_picture_is_read() -> None:
    detector = ScriptedDetector([[Detection(Box(-30, -30, 80, 80), 0.9)]])
    watcher = analyst(detector)
    assert [watcher.look(frame) for frame in frames(4)][-1].mood == "happy"
