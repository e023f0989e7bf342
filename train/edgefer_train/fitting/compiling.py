"""How a model is compiled: optimizer, losses, precision, XLA, and a dropout that is repeatable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgefer.errors import SettingsError
from edgefer_train.architectures import ARCHITECTURES, Tensor
from edgefer_train.fitting.xla_trial import is_faster_by_xla
from edgefer_train.recipe import VOTES, Fit, Recipe
from edgefer_train.run import XlaTrial

CPUINFO = Path("/proc/cpuinfo")
LONG = 1000
"""Steps of a training that is worth a trial of XLA: compiling takes as long as ten of them."""

STREAMS = 1_000_003
"""Between the seeds of two layers; no seeds that are tried beside each other are so far apart."""


class Compute(msgspec.Struct, frozen=True):
    """The precision of the activations and whether XLA compiles the step."""

    precision: Literal["float32", "bfloat16"]
    xla: bool

    def __str__(self) -> str:
        return f"{self.precision}, {'XLA' if self.xla else 'no XLA'}"


def choose_precision(recipe: Recipe, cpuinfo: Path = CPUINFO) -> Literal["float32", "bfloat16"]:
    """Return what a recipe's `precision` comes to on this machine.

    bfloat16 needs AMX: without it a step of `small` takes 13 times as long.
    """
    if recipe.fit.precision == "auto":
        return "bfloat16" if has_amx(cpuinfo) else "float32"
    return recipe.fit.precision


def choose_compute(
    recipe: Recipe,
    steps: int,
    replicas: int = 1,
    cpuinfo: Path = CPUINFO,
    trial: XlaTrial = is_faster_by_xla,
) -> Compute:
    """Return what `precision` and `xla` of a recipe come to on this machine for so many steps.

    With `auto` a trial decides on XLA, where it may pay: in float32, for in bfloat16 oneDNN's AMX
    kernels are faster; for architectures of plain convolutions; and for a training that takes far
    longer than to compile. Several replicas go without it.
    """
    precision, xla = choose_precision(recipe, cpuinfo), recipe.fit.xla
    if xla == "auto":
        design, how = ARCHITECTURES.get(recipe.architecture), recipe.fit
        may = precision == "float32" and replicas == 1 and steps >= LONG
        may = may and design is not None and design.xla
        xla = may and trial(recipe.architecture, recipe.side, how.batch_size)
    return Compute(precision, xla and replicas == 1)


def has_amx(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the processor multiplies matrices of bfloat16."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and "amx_bf16" in line.split() for line in lines)


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let the layers made inside compute in this precision; their weights stay in 32 bits."""
    policy = precision if precision == "float32" else f"mixed_{precision}"
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def compile_model(
    model: Any,
    recipe: Recipe,
    steps_per_epoch: int,
    xla: bool,
    followed: str = "accuracy",
    shift: NDArray[np.float32] | None = None,
) -> None:
    """Give the model its losses and its optimizer, and make its dropout deterministic.

    `followed` is what the share of images is called whose label is the target's; `shift` (labels,)
    is added to the first head's logits in its loss.
    """
    optimizer = optimizer_of(recipe.fit, steps_per_epoch)
    cross_entropy = keras.losses.CategoricalCrossentropy
    share = keras.metrics.CategoricalAccuracy
    first = cross_entropy(True, recipe.fit.label_smoothing)
    losses = {recipe.labels: first if shift is None else _shifted(first, shift)}
    if len(model.outputs) == 1:
        (loss,) = losses.values()
        model.compile(optimizer, loss, metrics=[share(followed)], jit_compile=xla)
    else:
        losses[VOTES] = cross_entropy(True)
        model.compile(
            optimizer,
            losses,
            metrics={head: share(followed) for head in losses},
            loss_weights={recipe.labels: 1.0, VOTES: recipe.fit.votes_weight},
            jit_compile=xla,
        )
    if recipe.fit.dropout is not None:
        _set_dropout(model, recipe.fit.dropout)
    make_deterministic(model, recipe.seed)


def _shifted(loss: Any, shift: NDArray[np.float32]) -> Any:
    """Return a loss of logits (B, labels) that sees them shifted."""

    def shifted(targets: Tensor, logits: Tensor) -> Tensor:
        return loss.call(targets, logits + shift)

    return shifted


def _set_dropout(model: Any, rate: float) -> None:
    dropouts = [layer for layer in model.submodules if isinstance(layer, keras.layers.Dropout)]
    if not dropouts:
        raise SettingsError(f"{model.name} has no dropout; leave `dropout` out of the recipe")
    for layer in dropouts:
        layer.rate = rate


class _Averaging:
    """A moving average of weights, in an optimizer, that soon forgets the random start.

    Source: tf.train.ExponentialMovingAverage, whose `num_updates` does the same.
    """

    def _update_model_variables_moving_average(self: Any, var_list: Any) -> None:
        whole, step = self.ema_momentum, tf.cast(self.iterations, tf.float32)
        self.ema_momentum = tf.minimum(whole, (1 + step) / (10 + step))
        super()._update_model_variables_moving_average(var_list)  # type: ignore[misc]  # Keras's
        self.ema_momentum = whole

    def finalize_variable_values(self, var_list: Any) -> None:
        """Leave the weights as they are at the end of `fit`: a resumed fit would not see that."""


class _Sgd(_Averaging, keras.optimizers.SGD):
    """SGD."""


class _Adam(_Averaging, keras.optimizers.Adam):
    """Adam."""


class _Nadam(_Averaging, keras.optimizers.Nadam):
    """Nadam."""


def optimizer_of(how: Fit, steps_per_epoch: int) -> Any:
    """Return the Keras optimizer of a recipe; its moving average of weights included."""
    average = {"use_ema": how.average > 0, "ema_momentum": how.average or 0.99}
    rate = _cosine(how, steps_per_epoch) if how.schedule == "cosine" else how.learning_rate
    if how.optimizer in ("adam", "nadam"):
        kind = _Adam if how.optimizer == "adam" else _Nadam
        optimizer = kind(rate, weight_decay=how.weight_decay or None, **average)
    else:
        # Decoupled from the momentum: ten times the figure that coupled decay would need.
        decay = 10 * how.weight_decay or None
        optimizer = _Sgd(rate, 0.9, nesterov=True, weight_decay=decay, **average)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _cosine(how: Fit, steps_per_epoch: int) -> Any:
    steps = how.epochs * steps_per_epoch
    # A recipe may be run for less than its warm-up.
    warmup = min(round(how.warmup_epochs * steps_per_epoch), steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=how.learning_rate, warmup_steps=warmup
    )


def make_deterministic(model: Any, seed: int) -> None:
    """Let every dropout of a compiled model draw from `seed` and its optimizer's step.

    As Keras has it, a dropout counts its draws from the start of the process, and each of
    several replicas counts its own: neither a resumed fit nor a shared one would follow the
    curve of one that was neither. What is saved of the model stays as it was.
    """
    dropouts = [layer for layer in model.submodules if isinstance(layer, keras.layers.Dropout)]
    for at, layer in enumerate(dropouts, 1):
        # The one place where a dropout asks for numbers, also inside tfmot's wrappers.
        layer._random_generator = StepGenerator(seed + at * STREAMS, model.optimizer.iterations)


class StepGenerator:
    """Random masks from a seed and a step, in place of a dropout's `RandomGenerator`."""

    _rng_type = "legacy_stateful"
    """The layer's default in its configuration."""

    def __init__(self, seed: int, step: Any) -> None:
        self.seed = seed
        self.step = step
        """A variable: the number of steps that the optimizer has made."""

    def dropout(self, inputs: Tensor, rate: float, noise_shape: Tensor | None = None) -> Tensor:
        """Drop a share of the inputs (B, ...) and scale the rest, as `tf.nn.dropout`."""
        return tf.nn.experimental.general_dropout(inputs, rate, self.uniform, noise_shape)

    def uniform(self, shape: Tensor, dtype: Any) -> Tensor:
        """Return this replica's part of the draws in 0..1 for the whole batch."""
        context = tf.distribute.get_replica_context()
        shape = tf.convert_to_tensor(shape)
        whole = tf.concat([shape[:1] * context.num_replicas_in_sync, shape[1:]], 0)
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(self.step, tf.int64)])
        drawn = tf.random.stateless_uniform(whole, seed, dtype=dtype)
        first = context.replica_id_in_sync_group * shape[0]
        return drawn[first : first + shape[0]]
