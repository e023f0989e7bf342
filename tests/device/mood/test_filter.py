"""Moods change when the evidence is good, and hold otherwise; all times are given."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgefer.labels import UNKNOWN
from edgefer_device.mood.filter import REASON_SECONDS, Mood, MoodSettings

LABELS = ("happy", "sad", "neutral")


def reading(**shares: float) -> NDArray[np.float64]:
    return np.array([shares.get(label, 0.0) for label in LABELS])


HAPPY = reading(happy=0.9, sad=0.05, neutral=0.05)
SAD = reading(happy=0.05, sad=0.9, neutral=0.05)
TORN = reading(happy=0.34, sad=0.33, neutral=0.33)


def mood(threshold: float = 0.5, prior: float = 0.5, seconds: float = 6.0) -> Mood:
    return Mood(LABELS, MoodSettings(prior, seconds), threshold)


def reported(
    mood: Mood, probabilities: NDArray[np.float64], start: float, seconds: float, rate: int = 30
) -> list[str]:
    """What is reported at each of so many readings a second."""
    labels = []
    for step in range(round(seconds * rate)):
        mood.update(probabilities, start + step / rate)
        labels.append(mood.label)
    return labels


def test_nothing_is_reported_before_a_face_is_read() -> None:
    fresh = mood(prior=0.99)
    assert (fresh.label, fresh.confidence) == (UNKNOWN, 0.0)
    fresh.miss("dark", 0.0)
    assert (fresh.label, fresh.reason, fresh.confidence) == (UNKNOWN, "dark", 0.0)


def test_a_clear_first_reading_is_reported_at_once() -> None:
    one = mood()
    one.update(HAPPY, 7.0)
    assert one.label == "happy"
    assert 0.5 < one.confidence < 0.95


def test_a_doubtful_first_reading_is_unknown() -> None:
    one = mood(prior=1 / 3)
    one.update(TORN, 0.0)
    assert (one.label, one.reason) == (UNKNOWN, "unsure")


def test_one_odd_frame_changes_nothing() -> None:
    one = mood()
    reported(one, HAPPY, 0.0, 1.0)
    one.update(reading(sad=1.0), 1.0)
    assert one.label == "happy"
    assert set(reported(one, HAPPY, 1.03, 1.0)) == {"happy"}


def test_a_change_is_reported_once_and_within_400_ms() -> None:
    one = mood()
    reported(one, HAPPY, 0.0, 10.0)
    labels = reported(one, SAD, 10.0, 3.0)
    assert sum(one != other for one, other in pairwise(labels)) == 1
    assert labels.index("sad") / 30 < 0.4


@pytest.mark.parametrize("rate", [10, 60])
def test_how_soon_depends_on_time_and_not_on_frames(rate: int) -> None:
    coarse = mood()
    reported(coarse, HAPPY, 0.0, 10.0, rate)
    late = reported(coarse, SAD, 10.0, 1.0, rate).index("sad") / rate
    assert late == pytest.approx(0.25, abs=0.1)


def test_longer_expressions_are_left_later() -> None:
    late = []
    for seconds in (1.0, 100.0):
        one = mood(seconds=seconds)
        reported(one, HAPPY, 0.0, 10.0)
        late.append(reported(one, SAD, 10.0, 1.0).index("sad"))
    assert late[0] < late[1]


def test_a_faint_lead_changes_nothing_however_long() -> None:
    one = mood()
    reported(one, HAPPY, 0.0, 2.0)
    faint = reading(happy=0.42, sad=0.52, neutral=0.06)
    assert set(reported(one, faint, 2.0, 60.0)) == {"happy"}
    two = mood()
    assert reported(two, faint, 0.0, 2.0)[-1] == "sad"


def test_of_two_readings_alike_the_prior_decides() -> None:
    even = reading(happy=0.48, neutral=0.48, sad=0.04)
    neutral, lively = mood(0.4, prior=0.8), mood(0.4, prior=0.05)
    assert reported(neutral, even, 0.0, 2.0)[-1] == "neutral"
    assert reported(lively, even, 0.0, 2.0)[-1] == "happy"


def test_a_face_that_grows_doubtful_becomes_unknown_and_says_why() -> None:
    one = mood(0.6)
    reported(one, HAPPY, 0.0, 2.0)
    labels = reported(one, TORN, 2.0, 3.0)
    assert labels[0] == "happy"
    assert (labels[-1], one.reason) == (UNKNOWN, "unsure")


def test_no_label_is_ever_reported_under_the_threshold() -> None:
    random = np.random.default_rng(1)
    for threshold in (0.3, 0.5, 0.8):
        one = mood(threshold)
        for step in range(600):
            one.update(random.dirichlet(np.full(3, 0.5)), step / 30)
            assert one.label == UNKNOWN or one.confidence >= threshold


def test_a_face_as_sure_as_the_threshold_is_reported_and_one_less_sure_is_not() -> None:
    for sure, wanted in ((0.75, "sad"), (0.6, UNKNOWN)):
        one = mood(0.7)
        rest = (1 - sure) / 2
        share = reading(happy=rest, sad=sure, neutral=rest)
        assert reported(one, share, 0.0, 20.0)[-1] == wanted


def test_another_threshold_counts_at_once() -> None:
    one = mood(0.5)
    reported(one, HAPPY, 0.0, 2.0)
    one.threshold = 0.9999
    assert one.label == UNKNOWN


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.5}, {"prior": 0.0}, {"prior": 1.0}, {"seconds": 0.0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, MoodSettings)


def test_a_face_unreadable_for_a_moment_keeps_its_mood_and_for_longer_is_unknown() -> None:
    one = mood()
    reported(one, HAPPY, 0.0, 2.0)
    labels = []
    for step in range(30):
        one.miss("blurred", 2 + step / 30)
        labels.append((one.label, one.reason))
    assert labels[3] == ("happy", None)
    assert labels[15:] == [(UNKNOWN, "blurred")] * 15
    again = reported(one, HAPPY, 3.0, 1.0)
    assert again[-1] == "happy"
    assert 1 <= again.index("happy") <= 15


def test_a_reason_that_alternates_is_reported_once() -> None:
    one = mood()
    seen = []
    for step in range(60):
        one.miss(("dark", "blurred")[step % 2], step / 30)
        seen.append(one.reason)
    assert set(seen) == {"dark"}
    for step in range(round(30 * REASON_SECONDS) + 2):
        one.miss("blurred", 2 + step / 30)
    assert one.reason == "blurred"


def test_labels_without_neutral_are_expected_alike() -> None:
    one = Mood(("calm", "upset"), MoodSettings(prior=0.9), 0.5)
    one.update(np.array([0.3, 0.7]), 0.0)
    assert one.label == "upset"
