"""Real clips through detector, tracker and mood; the classifier's answers are scripted."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgefer.bundle import open_bundle
from edgefer.messages import Box, Detection, Report
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier
from edgefer_device.bench.lab.face_sizes import read_clip
from edgefer_device.cameras.camera import Frame
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from support.bundles import manifest
from support.scripted import EveryFrame, ScriptedClassifier, ScriptedDetector, blank_frames

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)
SAD = (0.01, 0.01, 0.01, 0.01, 0.94, 0.01, 0.01)
LEAVES = 2.37
"""Last moment of face_noface.mov in which the face is there, seconds."""


def analyzer(
    detector: FaceDetector,
    classifier: Classifier | None = None,
    interval: float = 0.12,
    still: float = 0.5,
    **parts: Any,
) -> FrameAnalyzer:
    faces = FaceClassifier(
        classifier or ScriptedClassifier([HAPPY]), manifest(), manifest().decoder()
    )
    tracker = Tracker(TrackingSettings(interval, still))
    return FrameAnalyzer(detector, faces, tracker, MoodSettings(), **parts)


def reports(clip: Path, detector: str) -> list[Report]:
    watcher, camera = analyzer(open_detector(detector)), open_camera(f"file:{clip}")
    try:
        return [watcher.process(frame) for frame in camera.frames()]
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
    after = [report for report in seen if report.time > LEAVES + 1]
    assert before
    assert after
    assert all(report.mood == "happy" for report in before)
    assert all(report.mood is None for report in after)


def frames(count: int) -> list[Frame]:
    return list(blank_frames(count, rate=30))


def test_the_detector_rests_while_nothing_changes() -> None:
    detector = ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]])
    watcher = analyzer(detector)
    told = [watcher.process(frame) for frame in frames(90)]
    assert all(len(report.faces) == 1 for report in told[2:])
    assert detector.calls == 3 + 5


def test_where_time_begins_again_faces_are_looked_for_at_once() -> None:
    detector = ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]])
    watcher = analyzer(detector)
    first = [watcher.process(frame) for frame in frames(9)]
    before = detector.calls
    again = [watcher.process(frame) for frame in frames(9)]
    assert detector.calls == 2 * before
    assert again[0].faces == ()
    assert again[-1].faces[0].track == first[-1].faces[0].track + 1


@pytest.mark.parametrize(("top", "most"), [(0, 3 + 3 / 0.2), (95, 3 + 5)])
def test_the_detector_looks_more_often_while_the_face_moves(top: int, most: float) -> None:
    detector = ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]])
    watcher = analyzer(detector, interval=0.2)
    for frame in frames(90):
        image = frame.image.copy()
        image[top:, 4 * (frame.number % 30) :][:, :20] = 0
        watcher.process(replace(frame, image=image))
    assert most - 5 <= detector.calls <= most


def test_what_moves_in_a_still_scene_is_looked_for_at_once() -> None:
    detector = ScriptedDetector([[]])
    watcher = analyzer(detector)
    still = frames(20)
    for frame in still[:8]:
        watcher.process(frame)
    assert detector.calls == 1
    changed = still[8].image.copy()
    changed[40:80, 40:80] = 255
    watcher.process(replace(still[8], image=changed))
    assert detector.calls == 2


def test_the_mood_is_that_of_the_largest_face() -> None:
    small, large = Detection(Box(10, 10, 40, 40), 0.9), Detection(Box(70, 30, 80, 80), 0.9)

    class InTurn:
        """Reads the first face as happy, the second as sad."""

        def logits(self, crops: Pixels) -> Logits:
            return np.log(np.array([HAPPY, SAD][: len(crops)], np.float32))

    watcher = analyzer(ScriptedDetector([[small, large]]), InTurn())
    last = [watcher.process(frame) for frame in frames(5)][-1]
    assert [face.label for face in last.faces] == ["happy", "sad"]
    assert last.faces[0].box == large.box
    assert last.mood == "happy"


def test_a_missed_face_keeps_its_mood_and_is_not_read() -> None:
    face = [Detection(Box(40, 30, 60, 60), 0.95)]
    classifier = ScriptedClassifier([HAPPY, HAPPY, SAD])
    detector = ScriptedDetector([face, face, face, face, []])
    watcher = analyzer(detector, classifier, interval=0.0, still=0.0)
    told = [watcher.process(frame) for frame in frames(12)]
    assert len(classifier.crops) == 2
    assert [report.mood for report in told[4:]] == ["happy"] * 8


def test_a_face_half_outside_the_picture_is_read() -> None:
    detector = ScriptedDetector([[Detection(Box(-30, -30, 80, 80), 0.9)]])
    watcher = analyzer(detector)
    assert [watcher.process(frame) for frame in frames(4)][-1].mood == "happy"


@pytest.mark.parametrize("pace", [150, 300, 500])
@pytest.mark.parametrize(("across", "down"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_face_that_walks_out_of_the_picture_ends_nothing(
    data: Path, pace: int, across: int, down: int
) -> None:
    image, size = read_clip(data / "clips/single_face.mp4")[0], (320, 240)
    face = open_detector("blazeface").detect(image)[0].box
    scale = 50 / face.width
    middle = face.left + face.width / 2, face.top + face.height / 2
    watcher, told = analyzer(open_detector("blazeface")), []
    for number in range(60):
        time = number / 15
        shift = pace * max(0.0, time - 0.6)
        x = size[0] / 2 + across * shift - scale * middle[0]
        y = size[1] / 2 + down * shift - scale * middle[1]
        moved = np.array([[scale, 0, x], [0, scale, y]])
        there = np.asarray(cv2.warpAffine(image, moved, size, flags=cv2.INTER_AREA), np.uint8)
        told.append(watcher.process(Frame(there, time, number)))
    assert len(told[8].faces) == 1
    assert told[-1].faces == ()


@pytest.mark.parametrize(
    ("light", "step", "readings"), [(1, 0, 1), (1, 4, 1), (1, 9, 2), (5, 0, 1), (5, 9, 2)]
)
def test_a_face_is_read_again_once_a_part_of_it_changes(
    light: int, step: int, readings: int
) -> None:
    classifier = ScriptedClassifier([HAPPY])
    watcher = analyzer(ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]]), classifier)
    # As much contrast as a face has: a flat one is stretched, and shows more of a change.
    face = np.random.default_rng(0).integers(0, 240, (120, 160, 1)).astype(np.uint8)
    for frame in frames(6):
        image = np.repeat(face, 3, axis=2)
        if frame.number >= 4:
            image[60:80, 55:85] += np.uint8(step)
        told = watcher.process(replace(frame, image=image // np.uint8(light)))
    assert len(classifier.crops) == readings
    assert told.faces[0].probabilities["happy"] > 0.9


def test_a_face_that_never_changes_is_read_a_few_times_a_second() -> None:
    classifier = ScriptedClassifier([HAPPY])
    watcher = analyzer(ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]]), classifier)
    told = [watcher.process(frame) for frame in frames(92)]
    assert 3 * 5 - 2 <= len(classifier.crops) <= 3 * 7
    assert all(report.faces[0].probabilities for report in told[2:])


@pytest.mark.parametrize("name", ["hungry.mkv", "single_face.mp4", "face_noface.mov"])
def test_readings_that_are_kept_are_those_that_would_be_read(data: Path, name: str) -> None:
    bundle, settings = open_bundle("small"), TrackingSettings()
    kept, read = (
        FrameAnalyzer(open_detector(None), kind.open(bundle), Tracker(settings), MoodSettings())
        for kind in (FaceClassifier, EveryFrame)
    )
    with closing(open_camera(f"file:{data / 'clips' / name}")) as camera:
        both = [(kept.process(frame), read.process(frame)) for frame in camera.frames()]
    faces = [(a.faces[0].probabilities, b.faces[0].probabilities) for a, b in both if a.faces]
    assert all(a.keys() == b.keys() for a, b in faces)
    differences = [max(abs(a[label] - b[label]) for label in b) for a, b in faces if b]
    moods = [[report.mood for report in reports] for reports in zip(*both, strict=True)]
    assert [mood for mood, _ in groupby(moods[0])] == [mood for mood, _ in groupby(moods[1])]
    # A mood that is on the verge of its threshold may change a frame later.
    assert sum(a != b for a, b in zip(*moods, strict=True)) <= 1
    assert 0 < max(differences) < 0.08
    assert np.mean(differences) < 0.01


def darkened(frame: Frame) -> Frame:
    return replace(frame, image=np.asarray(frame.image // 8, np.uint8))


def test_a_face_in_the_dark_is_unknown_and_why_is_told() -> None:
    face = Detection(Box(40, 30, 60, 60), 0.95)
    classifier = ScriptedClassifier([HAPPY])
    watcher = analyzer(ScriptedDetector([[face]]), classifier)
    told = [watcher.process(frame) for frame in frames(15)]
    read = len(classifier.crops)
    dark = [watcher.process(darkened(frame)) for frame in frames(60)[15:]]
    assert (told[-1].mood, told[-1].reason) == ("happy", None)
    assert [report.mood for report in dark[:6]] == ["happy"] * 6
    assert {(report.mood, report.reason) for report in dark[15:]} == {("unknown", "dark")}
    assert dark[-1].faces[0].reason == "dark"
    assert dark[-1].faces[0].probabilities == {}
    assert len(classifier.crops) == read


def test_a_face_that_was_never_readable_is_told_as_such() -> None:
    detector = ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95, turn=0.9)]])
    watcher = analyzer(detector)
    last = [watcher.process(frame) for frame in frames(5)][-1]
    assert (last.mood, last.reason, last.confidence) == ("unknown", "turned", 0.0)


def test_the_threshold_can_be_changed_while_it_runs() -> None:
    threshold: list[float | None] = [None]
    torn = (0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05)
    detector = ScriptedDetector([[Detection(Box(40, 30, 60, 60), 0.95)]])
    watcher = analyzer(detector, ScriptedClassifier([torn]), threshold=lambda: threshold[0])
    told = []
    for frame in frames(60):
        threshold[0] = 0.7 if frame.number >= 20 else None
        told.append(watcher.process(frame))
    assert (told[19].mood, told[19].reason) == ("angry", None)
    assert (told[-1].mood, told[-1].reason) == ("unknown", "unsure")


def test_it_is_told_how_long_each_look_took() -> None:
    ticks = iter(range(100))
    on_latency: list[float] = []
    watcher = analyzer(
        ScriptedDetector([[]]), on_latency=on_latency.append, clock=lambda: float(next(ticks))
    )
    for frame in frames(3):
        watcher.process(frame)
    assert on_latency == [1.0, 1.0, 1.0]


def test_a_picture_on_the_wall_is_reported_and_has_no_mood() -> None:
    poster = Detection(Box(0, 0, 90, 90), 0.95)
    script = [[poster, Detection(Box(100 + step % 20, 30, 40, 40), 0.95)] for step in range(120)]
    faces = FaceClassifier(ScriptedClassifier([HAPPY]), manifest(), manifest().decoder())
    tracker = Tracker(TrackingSettings(ignore_still=2))
    watcher = FrameAnalyzer(ScriptedDetector(script), faces, tracker, MoodSettings())
    told = [watcher.process(frame) for frame in frames(90)]
    assert (len(told[20].faces), told[20].still) == (2, ())
    assert told[-1].still == (poster.box,)
    assert [face.box.width for face in told[-1].faces] == [40]
    assert told[-1].mood == "happy"
