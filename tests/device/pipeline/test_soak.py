"""Memory, descriptors and threads over simulated hours, and moods that hold still."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from edgefer.bundle import open_bundle
from edgefer.messages import Report
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from support import soak

SHORT_HOURS = 0.15
"""In CI; the whole day is `tools/soak.py`, its figures stand in docs/results.md."""


@pytest.mark.slow
def test_nothing_grows_over_the_hours(data: Path, tmp_path: Path) -> None:
    hours = SHORT_HOURS * 3600 / 180
    schedule = soak.Schedule(hour=180.0, present=60.0, every=30.0)
    samples = soak.simulate(data, tmp_path, hours, schedule)
    warm = hours / 3
    assert soak.drift(samples, warm) <= 0.02
    after = [sample for sample in samples if sample.hour >= warm]
    assert {sample.handles for sample in after} == {after[0].handles}
    assert {sample.threads for sample in after} == {after[0].threads}
    assert samples[-1].reports > 500


def reports(address: str, seconds: float) -> list[Report]:
    """The reports of the shipped model on a camera, on its own clock."""
    bundle = open_bundle("small")
    classifier = FaceClassifier.open(bundle)
    tracker = Tracker(TrackingSettings())
    analyzer = FrameAnalyzer(open_detector(None), classifier, tracker, MoodSettings())
    camera = open_camera(address)
    found = []
    for frame in camera.frames():
        if frame.time > seconds:
            break
        found.append(analyzer.process(frame))
    camera.close()
    return found


def changes(reports: list[Report]) -> list[tuple[str, str]]:
    """The changes from one mood to another."""
    moods = [report.mood for report in reports if report.mood is not None]
    return [(a, b) for a, b in pairwise(moods) if a != b]


@pytest.mark.parametrize("photo", ["2007_007763.jpg", "2008_001322.jpg", "2009_004587.jpg"])
def test_a_still_face_changes_its_mood_at_most_once_a_minute(data: Path, photo: str) -> None:
    found = reports(f"images:{data / 'photos' / photo}?rate=5&loop=1", seconds=60)
    assert any(report.mood for report in found)
    assert len(changes(found)) <= 1


def test_a_face_that_begins_to_smile_changes_once_from_neutral_to_happy(data: Path) -> None:
    found = reports(f"file:{data / 'clips/single_face.mp4'}", seconds=60)
    assert changes(found) == [("neutral", "happy")]
