from __future__ import annotations

import numpy as np
import pytest

from edgefer.metrics import (
    best_temperature,
    calibration_error,
    confusion,
    coverage,
    mcnemar,
    reliability,
    score,
    softmax,
    wilson,
)

NAMES = ("a", "b")


def logits_for(said: list[int]) -> np.ndarray:
    return np.eye(2, dtype=np.float32)[said] * 3


def test_a_score_counts_what_a_person_would_count() -> None:
    labels = np.array([0, 0, 0, 1])
    leak_free = np.array([True, True, False, True])
    said = logits_for([0, 0, 1, 1])
    scores = score(said, labels, NAMES, leak_free, 1.0, logits_for([0, 0, 0, 1]))
    assert (scores.accuracy, scores.n) == (0.75, 4)
    assert (scores.accuracy_leak_free, scores.n_leak_free) == (1.0, 3)
    assert scores.agreement_with_float == 0.75
    assert scores.per_class["a"].recall == pytest.approx(2 / 3)
    assert scores.per_class["b"].precision == 0.5
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)


def test_probabilities_sum_to_one_and_cool_with_temperature() -> None:
    logits = np.array([[1.0, 3.0]], np.float32)
    assert softmax(logits).sum() == pytest.approx(1)
    assert softmax(logits, 4.0).max() < softmax(logits).max()


def test_calibration_error_is_the_gap_between_sure_and_right() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10, np.float32)
    labels = np.array([0] * 5 + [1] * 5)
    assert calibration_error(probabilities, labels) == pytest.approx(0.4, abs=1e-6)


def test_the_best_temperature_cools_an_overconfident_model() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 2000)
    said = np.where(random.random(2000) < 0.7, labels, 1 - labels)
    logits = logits_for(said.tolist())
    temperature = best_temperature(logits, labels)
    assert softmax(logits, temperature).max(-1).mean() == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    # As scipy.stats.binomtest(...).proportion_ci(method="wilson") has them.
    [(0.8, 10, 0.4901625, 0.9433178), (0.0, 10, 0.0, 0.2775328), (1.0, 10, 0.7224672, 1.0)],
)
def test_the_interval_of_a_share_is_wilsons(share: float, n: int, low: float, high: float) -> None:
    assert wilson(share, n) == pytest.approx((low, high), abs=1e-6)


def test_of_no_picture_nothing_is_known() -> None:
    assert wilson(0.0, 0) == (0, 1)


def test_the_bins_hold_every_answer_once() -> None:
    probabilities = softmax(np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32))
    labels = np.random.default_rng(1).integers(0, 3, 500)
    bins = reliability(probabilities, labels)
    assert sum(one.n for one in bins) == 500
    assert sum(one.n * one.accuracy for one in bins) == pytest.approx(
        (probabilities.argmax(-1) == labels).sum()
    )
    assert all(one.low <= one.confidence <= one.high for one in bins if one.n)


def test_who_may_stay_silent_answers_less_and_better() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], np.float32)
    labels = np.array([0, 0, 1, 0])
    all_, sure, none = coverage(probabilities, labels, (0.0, 0.75, 0.95))
    assert (all_.coverage, all_.accuracy, all_.n) == (1, 0.5, 4)
    assert (sure.coverage, sure.accuracy, sure.n) == (0.5, 1, 2)
    assert (none.coverage, none.accuracy, none.n) == (0, 0, 0)


def test_a_row_is_the_label_and_a_column_what_was_said() -> None:
    said, labels = np.array([1, 1, 0]), np.array([0, 1, 0], np.int8)
    assert confusion(said, labels, 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_two_models_are_told_apart_by_the_pictures_that_only_one_gets_right() -> None:
    first = np.array([True] * 9 + [False] * 1 + [True] * 20)
    second = np.array([False] * 9 + [True] * 1 + [True] * 20)
    paired = mcnemar(first, second)
    assert (paired.n, paired.only_first, paired.only_second) == (30, 9, 1)
    # As scipy.stats.binomtest(1, 10) has it.
    assert paired.p_value == pytest.approx(0.021484, abs=1e-6)
    assert mcnemar(first, first).p_value == 1


def test_thousands_of_differences_are_no_underflow() -> None:
    first = np.arange(6000) < 2950
    assert 0.05 < mcnemar(first, ~first).p_value < 0.5
