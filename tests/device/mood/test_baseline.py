"""A face that reads as sad at rest is neutral once its rest is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefer.bundle import open_bundle
from edgefer.labels import FER2013
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.opening import open_detector
from edgefer_device.mood.baseline import LEARNING_SECONDS, Baseline
from edgefer_device.mood.filter import Mood, MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier

LABELS = ("happy", "sad", "neutral")
STUCK = np.array([0.05, 0.65, 0.30])


def test_nothing_is_corrected_before_enough_was_seen() -> None:
    baseline = Baseline(LABELS)
    for step in range(round(LEARNING_SECONDS * 10) - 10):
        assert baseline.correct(STUCK, step / 10) is STUCK


def test_the_rest_of_a_face_is_neutral() -> None:
    baseline = Baseline(LABELS)
    for step in range(300):
        corrected = baseline.correct(STUCK, step / 10)
    assert corrected == pytest.approx([0.15, 0.15, 0.7])


def test_what_differs_from_the_rest_is_still_told() -> None:
    baseline = Baseline(LABELS)
    for step in range(300):
        baseline.correct(STUCK, step / 10)
    smiling = baseline.correct(np.array([0.8, 0.15, 0.05]), 31.0)
    assert int(smiling.argmax()) == 0


def test_a_smile_now_and_then_does_not_become_the_rest() -> None:
    baseline = Baseline(LABELS)
    for step in range(600):
        smiles = step % 100 < 30
        baseline.correct(np.array([0.9, 0.05, 0.05]) if smiles else STUCK, step / 10)
    assert int(baseline.correct(STUCK, 61.0).argmax()) == 2


def test_labels_without_neutral_are_left_alone() -> None:
    baseline = Baseline(("happy", "sad"))
    given = np.array([0.3, 0.7])
    assert all(baseline.correct(given, step / 2) is given for step in range(200))


@pytest.fixture(scope="module")
def readings(data: Path) -> NDArray[np.float32]:
    """What the shipped model reads in each frame of a clip: neutral first, a smile at its end."""
    bundle, detector = open_bundle("small"), open_detector()
    classifier = FaceClassifier.open(bundle)
    camera = open_camera(f"file:{data / 'clips/single_face.mp4'}")
    crops = []
    for frame in camera.frames():
        found = detector.detect(frame.image)
        crops += classifier.crop(frame.image, [face.box for face in found[:1]])
    camera.close()
    return classifier.read(crops)


@pytest.mark.parametrize(
    ("baseline", "at_rest", "smiling"), [(False, "sad", "sad"), (True, "neutral", "happy")]
)
def test_a_real_face_with_a_prior_stuck_on_sad(
    readings: NDArray[np.float32], baseline: bool, at_rest: str, smiling: str
) -> None:
    # The clip's own face reads well: its rest is made to read as sad, as others' does.
    stuck = readings * np.where([label == "sad" for label in FER2013], 500.0, 1.0)
    stuck /= stuck.sum(1, keepdims=True)
    mood = Mood(FER2013, MoodSettings(baseline=baseline), 0.5)
    for step in range(300):
        mood.update(stuck[step % 15], step / 10)
    assert mood.label == at_rest
    for step in range(300):
        mood.update(stuck[-1 - step % 10], 30 + step / 30)
    assert mood.label == smiling
