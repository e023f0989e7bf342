from __future__ import annotations

import numpy as np
import pytest

from edgefer.metrics import best_temperature, calibration_error, score, softmax

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
