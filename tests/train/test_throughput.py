from __future__ import annotations

import itertools
import time
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from click.testing import CliRunner

from edgefer.cli import main
from edgefer_train.fitting.throughput import (
    FeedTimes,
    Throughput,
    _another,
    describe,
    noise,
    throughput,
    time_pipeline,
    time_turn,
)
from edgefer_train.recipe import Distill, Fit, Recipe

BATCH = np.zeros((8, 4), np.float32)


def net() -> Any:
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    model.compile("sgd", "mse")
    return model


def slow_feed(milliseconds: int) -> Any:
    """Batches that each take some time, for which they wait instead of working."""
    end = tf.data.Dataset.from_generator(
        itertools.count, output_signature=tf.TensorSpec((), tf.int32)
    )

    def wait(_: Any) -> Any:
        tf.py_function(lambda: __import__("time").sleep(milliseconds / 1e3), [], [])
        return BATCH, BATCH[:, :1]

    return end.map(wait)


def test_a_turn_sees_how_long_its_feed_takes() -> None:
    model = net()
    quick = tf.data.Dataset.from_tensors((BATCH, BATCH[:, :1])).repeat()
    time_turn(model, quick, 1, 1)
    bare, fed = time_turn(model, quick, 5, 4), time_turn(model, slow_feed(30), 5, 4)
    assert fed.wall > 0.03
    assert bare.wall < fed.wall


def test_the_noise_has_the_size_and_the_heads_of_the_recipe() -> None:
    dataset = noise(Recipe("small", side=96, fit=Fit(votes_weight=1.0)))
    assert dataset.faces.images.shape == (28_709, 96, 96)
    assert len(np.unique(dataset.faces.labels)) == len(dataset.labels) == 7
    assert dataset.faces.votes is not None


def test_the_pipeline_alone_is_timed_by_what_it_takes_of_the_processor() -> None:
    data = tf.data.Dataset.range(10**6).map(lambda at: tf.zeros((64, 64)) + tf.cast(at, tf.float32))
    assert 0 < time_pipeline(data, count=5, turns=3) < 0.1


def test_batches_that_were_ready_before_are_not_the_pipelines_time() -> None:
    def work() -> int:
        return sum(range(1_000_000))

    began = time.process_time()
    work()
    once = time.process_time() - began
    data = tf.data.Dataset.range(10**6).map(lambda _: tf.py_function(work, [], tf.int64))
    assert time_pipeline(data.prefetch(4), count=1) > once / 2


def test_a_net_is_timed_at_every_side_that_its_images_have() -> None:
    recipe = Recipe("tiny", fit=Fit(batch_size=8, xla=False, sizes=(24, 32)))
    done = throughput(recipe, "mine", seconds=0.2)
    assert [one.side for one in done.sides] == [24, 32]
    for one in done.sides:
        assert one.pairs >= 2
        assert one.memory > 0
        assert one.quartiles[0] <= one.ratio <= one.quartiles[1]
        assert one.step_cpu_ms > one.pipeline_cpu_ms > 0


def test_a_teacher_costs_its_time_in_the_pipeline() -> None:
    alone = Recipe("tiny", fit=Fit(batch_size=8, xla=False))
    taught = msgspec.structs.replace(alone, distill=Distill(teachers=("small",)))
    (bare,), (with_teacher,) = (throughput(one, "mine", 0.2).sides for one in (alone, taught))
    assert with_teacher.pipeline_cpu_ms > 2 * bare.pipeline_cpu_ms


def test_pairs_end_with_the_time_that_was_given() -> None:
    # Two pairs took ten seconds: a third would take five.
    began = time.monotonic() - 10
    assert _another(began, 2, 16)
    assert not _another(began, 2, 14)


def test_the_benchmark_names_its_machine_and_its_spread() -> None:
    fed = FeedTimes(48, 7, 390.0, 380.0, 0.974, (0.96, 0.98), 0.987, 610.0, 8.2)
    text = describe(Throughput("AMD EPYC, 2 cores", "small", 128, (fed,)))
    assert text.startswith("small, batches of 128, on AMD EPYC, 2 cores\n")
    assert "0.974 (0.960 to 0.980)" in text
    assert "0.987" in text


@pytest.mark.parametrize("words", [("--recipe", "smal"), ("--seconds", "0")])
def test_a_benchmark_that_cannot_run_says_so_at_once(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, ["dev", "throughput", *words])
    assert done.exit_code in {1, 2}
    assert "smal" in done.stderr or "--seconds" in done.stderr
