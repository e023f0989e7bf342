from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from edgefer.errors import SettingsError
from edgefer_train.data.sources import load
from edgefer_train.fitting import compiling
from edgefer_train.fitting import fit as fitting
from edgefer_train.fitting.compiling import (
    LONG,
    Compute,
    choose_compute,
    choose_precision,
    compile_model,
    make_deterministic,
)
from edgefer_train.fitting.fit import fit
from edgefer_train.fitting.xla_trial import is_faster_by_xla
from edgefer_train.quantization.quantize import quantize
from edgefer_train.recipe import FineTune, Fit, Recipe
from support.slices import write_slice

ONES = np.ones((64, 16), np.float32)


def net(seed: int = 1) -> Any:
    """Two dropouts beside each other, compiled."""
    inputs = keras.layers.Input((16,))
    outputs = [keras.layers.Dropout(0.25, name=name)(inputs) for name in ("one", "two")]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0))
    make_deterministic(model, seed)
    return model


def dropped(model: Any, step: int) -> tuple[np.ndarray, np.ndarray]:
    model.optimizer.iterations.assign(step)
    one, two = model(ONES, training=True)
    return one.numpy(), two.numpy()


def test_what_is_dropped_follows_from_seed_layer_and_step_alone() -> None:
    model, again = net(), net()
    first, second = dropped(model, 5)
    dropped(again, 2)
    assert (dropped(again, 5)[0] == first).all(), "whatever came before"
    assert (first != second).any()
    assert (dropped(model, 6)[0] != first).any()
    assert (dropped(net(seed=2), 5)[0] != first).any()


def with_head(*, dropout: bool) -> Any:
    """A net whose logits of three labels are all zero."""
    inputs = keras.layers.Input((16,))
    x = keras.layers.Dropout(0.25)(inputs) if dropout else inputs
    head = keras.layers.Dense(3, kernel_initializer="zeros", name="fer2013")
    return keras.Model(inputs, head(x), name="plain")


def test_a_recipe_sets_the_rate_of_every_dropout() -> None:
    model, recipe = with_head(dropout=True), Recipe("plain", fit=Fit(dropout=0.6))
    compile_model(model, recipe, 1, xla=False)
    assert [one.rate for one in model.layers if isinstance(one, keras.layers.Dropout)] == [0.6]
    with pytest.raises(SettingsError, match="plain has no dropout; leave `dropout` out"):
        compile_model(with_head(dropout=False), recipe, 1, xla=False)


def test_a_loss_with_adjusted_logits_expects_the_frequent_label_by_itself() -> None:
    model, shares = with_head(dropout=False), np.array([0.8, 0.15, 0.05], np.float32)
    compile_model(model, Recipe("plain", fit=Fit(label_smoothing=0.0)), 1, False, "accuracy",
                  np.log(shares))  # fmt: skip
    for label, share in enumerate(shares):
        targets = np.eye(3, dtype=np.float32)[[label] * 64]
        loss, _ = model.evaluate(ONES, targets, verbose=0)
        assert loss == pytest.approx(-np.log(share), rel=1e-5)


def test_it_is_a_dropout() -> None:
    model = net()
    kept, _ = dropped(model, 1)
    assert set(np.unique(kept)) == {np.float32(0), np.float32(4 / 3)}
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.05)
    assert (model(ONES, training=False)[0].numpy() == ONES).all()


COMPILED = """
import tensorflow as tf
from train.test_compiling import ONES, net

model = net()
compiled = tf.function(lambda values: model(values, training=True)[0], jit_compile=True)
one, two = (compiled(tf.constant(ONES)).numpy() for _ in range(2))
assert (one == two).all()
model.optimizer.iterations.assign(1)
assert (compiled(tf.constant(ONES)).numpy() != one).any()
"""


def test_a_step_that_xla_compiles_is_steady_too() -> None:
    # XLA crashes in a process in which LiteRT has looked for a GPU, as another test's does.
    paths = [str(Path(__file__).parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_dropouts_that_are_wrapped_for_fake_quantization_are_steady_too() -> None:
    model = keras.Sequential(
        [
            keras.layers.Dense(16, input_shape=(16,), kernel_initializer="identity"),
            keras.layers.Dropout(0.5),
        ]
    )
    quantized = tfmot.quantization.keras.quantize_model(model)
    quantized.compile(keras.optimizers.SGD(0.0))
    make_deterministic(quantized, 1)
    # Only which are dropped: the ranges of fake quantization move with each call.
    one, two = (quantized(ONES, training=True).numpy() == 0 for _ in range(2))
    assert (one == two).all()
    quantized.optimizer.iterations.assign(1)
    assert ((quantized(ONES, training=True).numpy() == 0) != one).any()


def test_what_is_saved_does_not_change() -> None:
    assert (
        net().get_layer("one").get_config() == keras.layers.Dropout(0.25, name="one").get_config()
    )


AMX = "processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile amx_int8\n"
PLAIN = "processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16x\nmodel name\t: amx_bf16\n"


@pytest.mark.parametrize(
    ("architecture", "cpuinfo", "is_faster", "chosen"),
    [
        ("small", PLAIN, True, "float32, XLA"),
        ("small", PLAIN, False, "float32, no XLA"),
        ("vgg16", PLAIN, True, "float32, XLA"),
        ("deepfer", PLAIN, True, "float32, XLA"),
        ("tiny", PLAIN, True, "float32, no XLA"),
        ("large", PLAIN, True, "float32, no XLA"),
        ("mini_xception", PLAIN, True, "float32, no XLA"),
        ("resnet50", PLAIN, True, "float32, no XLA"),
        ("small", AMX, True, "bfloat16, no XLA"),
        ("tiny", AMX, True, "bfloat16, no XLA"),
    ],
)
def test_auto_follows_the_processor_the_architecture_and_a_trial(
    architecture: str, cpuinfo: str, is_faster: bool, chosen: str, tmp_path: Path
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    compute = choose_compute(Recipe(architecture), LONG, cpuinfo=path, trial=lambda *net: is_faster)
    assert str(compute) == chosen


def test_a_short_training_tries_nothing(tmp_path: Path) -> None:
    def trial(*net: object) -> bool:
        raise AssertionError("compiling would take longer than the training")

    path = tmp_path / "none"
    assert not choose_compute(Recipe("small"), LONG - 1, cpuinfo=path, trial=trial).xla
    assert not choose_compute(Recipe("small"), LONG, replicas=2, cpuinfo=path, trial=trial).xla


TWENTY_STEPS = Recipe(
    "small",
    side=16,
    fit=Fit(epochs=2, batch_size=32, precision="float32"),
    quantize=FineTune(epochs=3),
)


@pytest.mark.slow
def test_a_run_tries_xla_once_if_its_steps_in_all_epochs_are_worth_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def trial(*net: object) -> bool:
        tried.append(net)
        return False

    monkeypatch.setattr(fitting, "is_faster_by_xla", trial)
    monkeypatch.setattr(compiling, "LONG", 21)
    dataset = load(write_slice(data, tmp_path / "faces.npz", 320, 64, 64), side=16)
    run = fit(TWENTY_STEPS, "a", dataset, tmp_path / "run", resume=False)
    assert (tried, run.record().xla) == ([], None)
    longer = msgspec.structs.replace(TWENTY_STEPS.fit, epochs=3)
    recipe = msgspec.structs.replace(TWENTY_STEPS, fit=longer)
    fit(recipe, "a", dataset, tmp_path / "run", resume=True)
    assert (tried, run.record().xla) == ([("small", 16, 32)], False)
    fit(recipe, "a", dataset, tmp_path / "run", resume=True, xla=True)
    quantize(run, dataset)
    assert (len(tried), run.record().xla) == (1, False)


def test_a_recipe_can_say_both_itself(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(AMX)
    recipe = Recipe("tiny", fit=Fit(precision="float32", xla=True))
    assert choose_compute(recipe, 1, cpuinfo=path) == Compute("float32", xla=True)
    assert choose_compute(recipe, 1, replicas=2, cpuinfo=path) == Compute("float32", xla=False)


@pytest.mark.slow
def test_the_trial_times_both_and_leaves_the_random_numbers_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    keras.utils.set_random_seed(1)
    expected = tf.random.uniform([3]).numpy()
    keras.utils.set_random_seed(1)
    found = is_faster_by_xla("elu_cnn", 48, 8)
    assert (tf.random.uniform([3]).numpy() == expected).all()
    times = re.search(r"a step of elu_cnn takes ([\d.]+) s, with XLA ([\d.]+) s", caplog.text)
    assert times, caplog.text
    plain, compiled = map(float, times.groups())
    # Of two that are printed alike, either may be the faster.
    assert found == (compiled < plain) or plain == compiled


def test_a_trial_that_fails_is_a_no(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert not is_faster_by_xla("no such net", 48, 8)
    assert "no XLA: the trial did not end well" in caplog.text


def test_a_machine_without_cpuinfo_computes_in_float32(tmp_path: Path) -> None:
    assert choose_precision(Recipe("large"), tmp_path / "none") == "float32"
