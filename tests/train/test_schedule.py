from __future__ import annotations

from typing import Literal

import pytest
import tensorflow as tf

from edgefer_train.fitting.callbacks import has_ended, rate_after
from edgefer_train.fitting.compiling import optimizer_of
from edgefer_train.recipe import Fit

PLATEAU = Fit(learning_rate=0.8, schedule="plateau", plateau_patience=2, plateau_factor=0.5)


@pytest.mark.parametrize(
    ("scores", "rate"),
    [
        ([], 0.8),
        ([0.1, 0.2, 0.3], 0.8),
        ([0.3, 0.2], 0.8),
        ([0.3, 0.2, 0.3], 0.4),
        ([0.3, 0.2, 0.3, 0.4, 0.1], 0.4),
        ([0.3, 0.2, 0.3, 0.2, 0.1], 0.2),
    ],
)
def test_the_rate_falls_when_accuracy_rises_no_more(scores: list[float], rate: float) -> None:
    assert rate_after(scores, PLATEAU) == pytest.approx(rate)


def test_early_stopping_waits_as_long_as_it_is_told() -> None:
    how = Fit(early_stopping=2)
    assert not has_ended([], how)
    assert not has_ended([0.5, 0.4], how)
    assert has_ended([0.5, 0.4, 0.5], how)
    assert not has_ended([0.5, 0.4, 0.6, 0.5], how)
    assert not has_ended([0.5, 0.1, 0.1, 0.1], Fit(early_stopping=0))


def test_a_cosine_warms_up_and_ends_at_zero() -> None:
    how = Fit(epochs=10, learning_rate=0.1, warmup_epochs=1)
    rate = optimizer_of(how, steps_per_epoch=100)._learning_rate
    assert float(rate(50)) == pytest.approx(0.05)
    assert float(rate(100)) == pytest.approx(0.1)
    assert float(rate(1000)) == pytest.approx(0, abs=1e-6)


def test_a_fit_shorter_than_its_warm_up_still_comes_down() -> None:
    rate = optimizer_of(Fit(epochs=1, learning_rate=0.1, warmup_epochs=1), 100)._learning_rate
    assert float(rate(50)) == pytest.approx(0.1)
    assert float(rate(100)) == pytest.approx(0, abs=1e-6)


def test_an_epoch_counts_as_better_by_min_delta_alone() -> None:
    how = Fit(early_stopping=2, min_delta=0.05)
    assert has_ended([0.5, 0.52, 0.54], how)
    assert not has_ended([0.5, 0.52, 0.56], how)
    # A loss, which is to fall.
    assert not has_ended([-1.0, -0.9, -0.8], how)


@pytest.mark.parametrize("name", ["sgd", "adam", "nadam"])
def test_scales_shifts_and_biases_do_not_decay(name: Literal["sgd", "adam", "nadam"]) -> None:
    import tf_keras as keras

    optimizer = optimizer_of(Fit(optimizer=name, schedule="constant", average=0), 1)
    net = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
    net.build((None, 3))
    optimizer.build(net.trainable_variables)
    decayed = [v.name for v in net.trainable_variables if optimizer._use_weight_decay(v)]
    assert [name.rpartition("/")[2] for name in decayed] == ["kernel:0"]


def test_the_moving_average_knows_how_few_steps_were_made() -> None:
    variable = tf.Variable(0.0)
    optimizer = optimizer_of(Fit(optimizer="sgd", schedule="constant", weight_decay=0), 1)
    optimizer.build([variable])
    (average,) = optimizer._model_variables_moving_average
    weights = []
    for _ in range(60):
        optimizer.apply_gradients([(tf.constant(-1.0), variable)])
        weights.append(float(variable))
    # With a momentum of 0.99 throughout it would hold 0.99 ** 60 = 55 % of the start.
    assert float(average) > 0.75 * weights[-1]
    expected = 0.0
    for step, weight in enumerate(weights):
        momentum = min(0.99, (1 + step) / (10 + step))
        expected = momentum * expected + (1 - momentum) * weight
    assert float(average) == pytest.approx(expected, rel=1e-4)
