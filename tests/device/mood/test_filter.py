"""Moods change slowly, and only for good reason; all times are given."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgefer.labels import UNKNOWN
from edgefer_device.mood.filter import Mood, MoodSettings

LABELS = ("happy", "sad", "neutral")


def reading(**shares: float) -> NDArray[np.float64]:
    return np.array([shares.get(label, 0.0) for label in LABELS])


HAPPY = reading(happy=0.9, sad=0.05, neutral=0.05)
SAD = reading(happy=0.05, sad=0.9, neutral=0.05)
TORN = reading(happy=0.34, sad=0.33, neutral=0.33)


def told(mood: Mood, probabilities: NDArray[np.float64], start: float, seconds: float) -> list[str]:
    """What a mood says at each of 20 readings a second."""
    said = []
    for step in range(round(seconds * 20)):
        mood.update(probabilities, start + step / 20)
        said.append(mood.label)
    return said


def test_the_first_reading_is_said_at_once() -> None:
    mood = Mood(LABELS, MoodSettings())
    mood.update(HAPPY, 7.0)
    assert mood.label == "happy"
    assert mood.confidence == pytest.approx(0.9)


def test_a_doubtful_first_reading_is_unknown() -> None:
    mood = Mood(LABELS, MoodSettings())
    mood.update(TORN, 0.0)
    assert mood.label == UNKNOWN
    assert mood.confidence == pytest.approx(0.34)


def test_one_odd_frame_changes_nothing() -> None:
    mood = Mood(LABELS, MoodSettings())
    told(mood, HAPPY, 0.0, 1.0)
    mood.update(SAD, 1.0)
    assert mood.label == "happy"
    assert set(told(mood, HAPPY, 1.05, 1.0)) == {"happy"}


def test_a_lasting_change_is_said_once() -> None:
    mood = Mood(LABELS, MoodSettings())
    told(mood, HAPPY, 0.0, 1.0)
    said = told(mood, SAD, 1.0, 3.0)
    assert said[0] == "happy"
    assert said[-1] == "sad"
    assert sum(one != other for one, other in pairwise(said)) == 1


def test_a_change_waits_for_the_dwell() -> None:
    mood = Mood(LABELS, MoodSettings(seconds=0.0, dwell=0.5))
    mood.update(HAPPY, 0.0)
    mood.update(SAD, 1.0)
    mood.update(SAD, 1.49)
    assert mood.label == "happy"
    mood.update(SAD, 1.5)
    assert mood.label == "sad"


def test_a_rival_must_lead_by_the_hysteresis() -> None:
    mood = Mood(LABELS, MoodSettings(seconds=0.0, dwell=0.0, threshold=0.4, hysteresis=0.1))
    mood.update(HAPPY, 0.0)
    mood.update(reading(happy=0.45, sad=0.5, neutral=0.05), 1.0)
    assert mood.label == "happy"
    mood.update(reading(happy=0.4, sad=0.55, neutral=0.05), 2.0)
    assert mood.label == "sad"


def test_a_mood_that_fades_becomes_unknown_below_the_hysteresis_only() -> None:
    mood = Mood(LABELS, MoodSettings(seconds=0.0, dwell=0.0, threshold=0.5, hysteresis=0.1))
    mood.update(HAPPY, 0.0)
    mood.update(reading(happy=0.45, sad=0.3, neutral=0.25), 1.0)
    assert mood.label == "happy"
    mood.update(reading(happy=0.39, sad=0.35, neutral=0.26), 2.0)
    assert mood.label == UNKNOWN


def test_smoothing_depends_on_time_and_not_on_frames() -> None:
    coarse, fine = (Mood(LABELS, MoodSettings(dwell=60.0)) for _ in range(2))
    for mood in (coarse, fine):
        mood.update(HAPPY, 0.0)
    coarse.update(SAD, 0.5)
    for step in range(1, 51):
        fine.update(SAD, step / 100)
    assert coarse.confidence == pytest.approx(fine.confidence, abs=1e-6)


def test_a_time_constant_lets_63_percent_through() -> None:
    mood = Mood(("a", "b"), MoodSettings(seconds=2.0, dwell=60.0))
    mood.update(np.array([0.9, 0.1]), 0.0)
    mood.update(np.array([0.1, 0.9]), 2.0)
    start, end = np.log(9), -np.log(9)
    odds = np.log(mood.confidence / (1 - mood.confidence))
    assert (odds - start) / (end - start) == pytest.approx(0.632, abs=0.001)


def test_a_certain_wrong_frame_is_soon_forgotten() -> None:
    mood = Mood(LABELS, MoodSettings())
    mood.update(reading(sad=1.0), 0.0)
    assert told(mood, HAPPY, 0.05, 2.0)[-1] == "happy"


@pytest.mark.parametrize(
    "settings",
    [{"threshold": 1.5}, {"hysteresis": 0.5}, {"seconds": -1.0}, {"dwell": -0.1}],
)
def test_settings_that_contradict_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, MoodSettings)


def test_an_uncertain_face_says_why() -> None:
    mood = Mood(LABELS, MoodSettings())
    mood.update(TORN, 0.0)
    assert mood.reason == "unsure"
    assert told(mood, HAPPY, 0.05, 2.0)[-1] == "happy"
    assert mood.reason is None


def test_a_face_that_cannot_be_read_for_a_while_is_unknown() -> None:
    mood = Mood(LABELS, MoodSettings(dwell=0.4))
    mood.update(HAPPY, 0.0)
    for step in range(1, 8):
        mood.miss("blurred", step / 20)
        assert mood.label == "happy"
        assert mood.reason is None
    mood.update(HAPPY, 0.4)
    for step in range(10):
        mood.miss("blurred", 0.45 + step / 20)
    assert (mood.label, mood.reason) == ("unknown", "blurred")


def test_reasons_that_alternate_still_make_it_unknown() -> None:
    mood = Mood(LABELS, MoodSettings())
    mood.update(HAPPY, 0.0)
    for step in range(1, 20):
        mood.miss(("dark", "blurred")[step % 2], step / 20)
    assert mood.label == UNKNOWN


def test_a_face_that_can_be_read_again_waits_for_the_dwell() -> None:
    mood = Mood(LABELS, MoodSettings(dwell=0.4))
    mood.miss("dark", 0.0)
    assert (mood.label, mood.reason, mood.confidence) == (UNKNOWN, "dark", 0.0)
    said = told(mood, HAPPY, 1.0, 1.0)
    assert said[:7] == [UNKNOWN] * 7
    assert said[-1] == "happy"


def test_another_threshold_keeps_the_hysteresis_below_it() -> None:
    settings = MoodSettings(threshold=0.4, hysteresis=0.1)
    assert settings.with_threshold(None) is settings
    assert settings.with_threshold(0.7).threshold == 0.7
    assert settings.with_threshold(0.05).hysteresis == 0.025
