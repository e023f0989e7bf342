"""The float training, top to bottom."""

from __future__ import annotations

import errno
import functools
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from msgspec.structs import replace

from edgefer.errors import DatasetError, EdgeferError, RunError
from edgefer.labels import FERPLUS, LABEL_SETS
from edgefer.machine import machine
from edgefer.metrics import best_temperature, calibration_error, softmax
from edgefer.preprocess import Preprocess
from edgefer_train.architectures import macs, parameters
from edgefer_train.data.dataset import Dataset, Faces, Usage, soft_labels
from edgefer_train.fitting.balance import log_prior
from edgefer_train.fitting.batches import Targets, batches, steps_per_epoch, unaugmented
from edgefer_train.fitting.callbacks import (
    BestCheckpoint,
    LearningRateSchedule,
    ProgressBar,
    TensorBoard,
)
from edgefer_train.fitting.compiling import (
    choose_compute,
    choose_precision,
    compile_model,
    computing_in,
)
from edgefer_train.fitting.initial_weights import Heads, build_model
from edgefer_train.fitting.strategy import ReplicaGroup, single
from edgefer_train.fitting.teachers import Teachers, load_teachers
from edgefer_train.fitting.xla_trial import is_faster_by_xla
from edgefer_train.recipe import VOTES, Recipe
from edgefer_train.run import Outcome, Record, Run, Stage, save_model, versions

log = logging.getLogger(__name__)

UNWRITABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO),
)
"""Of a folder that cannot be trained into; TensorFlow gives them as text alone."""
MAJORITY = 0.5
"""A soft target has a label when one holds more than this share (FER+'s majority)."""


def fit(
    recipe: Recipe,
    recipe_name: str,
    dataset: Dataset,
    out: Path,
    resume: bool,
    group: ReplicaGroup | None = None,
    xla: bool | None = None,
) -> Run:
    """Train `recipe` on the dataset's Training part into the folder `out`.

    The weights kept are the moving average of the epoch that did best on
    PublicTest. `xla` is what a trial of it answered before. Raises `RunError` when `out` holds
    another training or a worker of the group is lost, `DatasetError` when the dataset has other
    labels than the recipe and `SettingsError` when the group cannot share the recipe's batches.
    """
    expected = LABEL_SETS.get(recipe.labels, dataset.labels)
    if expected != dataset.labels:
        raise DatasetError(
            f"the recipe expects the labels of {recipe.labels}, {dataset.name} has "
            f"{', '.join(dataset.labels)}; name others with --labels"
        )
    group = group or single()
    group.require_equal_parts(recipe)
    keras.utils.set_random_seed(recipe.seed)
    training, validation = dataset.part(Usage.Training), dataset.part(Usage.PublicTest)
    precision = choose_precision(recipe)
    with writing(out), group.run_dir(out) as folder:
        run, heads = Run(folder), heads_of(recipe, dataset)
        model = build_model(recipe, heads, recipe.side, training.images)
        record = record_of(recipe, recipe_name, dataset, model, heads)
        group.start(run, replace(record, xla=xla), resume)
        announce_net(recipe, record.parameters, record.macs)
        teachers = load_teachers(recipe.distill)
        trained = _trainable(model, recipe, heads, group, precision)
        if recipe.head.epochs:
            fit_heads(trained, run.head, recipe, dataset, teachers, group)
        fit_stage(trained, run.float, recipe, dataset, teachers, group)
        model.load_weights(run.float.weights)
        calibrate(model, run.float, validation, targets_of(recipe, dataset, validation))
        save_model(model, run.float.model)
    return run


def announce_net(recipe: Recipe, parameters: int, macs: int) -> None:
    """Log what the net is and what `convert` will ask of it, before hours are spent."""
    log.info("%s: %s parameters, %.1f MMAC", recipe.architecture, f"{parameters:,}", macs / 1e6)
    log.info("the gate of convert: %s", recipe.gate)
    if refusal := recipe.gate.refusal(parameters, macs):
        log.warning(
            "the gate will refuse this net as int8: %s; raise that in the recipe's [gate], or by "
            "--set gate.bytes=inf --set gate.mmac=inf",
            refusal,
        )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a full, read-only or impossible place raises into one line that names it."""
    try:
        yield
    except EdgeferError:
        raise
    except (OSError, tf.errors.OpError) as exc:
        reasons = [os.strerror(one) for one in UNWRITABLE if os.strerror(one) in str(exc)]
        if not reasons:
            raise
        raise RunError(
            f"{folder}: cannot be written: {reasons[0]}; free the disk and repeat it, "
            "a training with --resume, or choose another folder"
        ) from exc


def _trainable(
    model: Any, recipe: Recipe, heads: Heads, group: ReplicaGroup, precision: str
) -> Any:
    """The model to fit in this one's place, with its weights: itself where that can be."""
    if not recipe.fit.sizes and group.replicas == 1 and precision == "float32":
        return model
    with group.strategy.scope(), computing_in(precision):
        # While the images grow, the same layers must take any side.
        copy = build_model(recipe, heads, None if recipe.fit.sizes else recipe.side)
    copy.set_weights(model.get_weights())
    return copy


def fit_heads(
    model: Any,
    stage: Stage,
    recipe: Recipe,
    dataset: Dataset,
    teachers: Teachers | None,
    group: ReplicaGroup,
) -> None:
    """Fit what follows the body, which stays as it is, its normalizations too."""
    how = recipe.head
    short = replace(
        recipe.fit,
        epochs=how.epochs,
        learning_rate=how.learning_rate,
        schedule="cosine",
        warmup_epochs=0.0,
        early_stopping=0,
        sizes=(),
    )
    heads = {name for head in model.output_names for name in (head, f"{head}_map")}
    learned = {layer: layer.trainable for layer in model.layers}
    for layer in model.layers:
        layer.trainable = layer.name in heads
    fit_stage(model, stage, replace(recipe, fit=short), dataset, teachers, group)
    model.load_weights(stage.weights)
    for layer, trainable in learned.items():
        layer.trainable = trainable


def fit_stage(
    model: Any,
    stage: Stage,
    recipe: Recipe,
    dataset: Dataset,
    teachers: Teachers | None = None,
    group: ReplicaGroup | None = None,
    float_targets: Targets | None = None,
) -> None:
    """Fit a model from the stage's last checkpoint on; the best average is in `stage.weights`.

    Best is by accuracy on PublicTest, or by agreement with `float_targets`, what the float model
    predicts there. Raises `RunError` when it diverges.
    A group of several replicas needs the model to have been built in its scope.
    """
    group, how = group or single(), recipe.fit
    followed = "agreement" if float_targets else "accuracy"
    training, validation = dataset.part(Usage.Training), dataset.part(Usage.PublicTest)
    steps = steps_per_epoch(training, how.batch_size, how.balance, how.epoch_share)
    trial = Run(stage.folder).keeping(is_faster_by_xla)
    compute = choose_compute(recipe, steps * how.epochs, group.replicas, trial=trial)
    length = f"{len(training):,} images, {how.epochs} epochs of {steps} steps of {how.batch_size}"
    log.info("%s, %s: %s, %s", model.name, stage.name, length, compute)
    adjusted = how.balance == "logit_adjustment"
    shift = log_prior(training.labels, len(dataset.labels)) if adjusted else None
    group.synchronize(model)
    with group.strategy.scope():
        compile_model(model, recipe, steps, compute.xla, followed, shift)
        metric = followed if len(model.outputs) == 1 else f"{recipe.labels}_{followed}"
        expected = float_targets or targets_of(recipe, dataset, validation)
        if group.workers > 1:
            # Workers save together, and their clocks differ.
            how = replace(how, checkpoint_minutes=math.inf)
        checkpoint = BestCheckpoint(stage, unaugmented(validation, expected), metric, how)
        first, done = checkpoint.restore(model, steps)
    monitored = metric if how.monitor == "accuracy" else metric.replace(followed, "loss")
    schedule = LearningRateSchedule(stage, how, f"val_{monitored}")
    targets = targets_of(recipe, dataset, training)
    if teachers:
        targets = teachers.scale_own(targets)
    for side, begin, end in _parts(recipe, first, done):
        if schedule.ended():
            break
        before = done if begin == first else 0
        make = functools.partial(
            batches,
            training,
            targets,
            recipe.augment,
            how.batch_size,
            recipe.seed,
            first_step=begin * steps + before,
            side=side,
            balance=how.balance,
            labels=dataset.labels,
            teach=teachers,
        )
        bar = ProgressBar(how.epochs, steps, begin * steps + before)
        with bar.progress:
            model.fit(
                group.distribute(make),
                epochs=end,
                initial_epoch=begin,
                steps_per_epoch=steps - before,
                callbacks=[checkpoint, schedule, TensorBoard(stage), bar],
                verbose=0,
            )


def _parts(recipe: Recipe, first: int, done: int) -> Iterator[tuple[int, int, int]]:
    """Yield side, first epoch and end of each part to do; an epoch begun (`done`) is its own."""
    for side, last in side_schedule(recipe):
        if first < last and done:
            yield side, first, first + 1
            first, done = first + 1, 0
        if first < last:
            yield side, first, last
            first = last


def side_schedule(recipe: Recipe) -> list[tuple[int, int]]:
    """Return the side of the images in each part of a fit, and the epoch that ends the part."""
    sizes, epochs = recipe.fit.sizes or (recipe.side,), recipe.fit.epochs
    return [(side, epochs * at // len(sizes)) for at, side in enumerate(sizes, 1)]


def heads_of(recipe: Recipe, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return the outputs' labels: the recipe's, and those of FER+ votes where they are known."""
    heads = {recipe.labels: dataset.labels}
    if _learns_votes(recipe, dataset.faces):
        heads[VOTES] = FERPLUS
    return heads


def targets_of(recipe: Recipe, dataset: Dataset, faces: Faces) -> Targets:
    """Return the distribution over its labels that each head should give for each face."""
    targets = {recipe.labels: _one_hot(faces.labels, len(dataset.labels))}
    if faces.votes is not None and _learns_votes(recipe, faces):
        shares = soft_labels(faces.votes)
        soft = recipe.fit.soft_labels
        targets[VOTES] = shares if soft else _one_hot(shares.argmax(-1), len(FERPLUS))
    return targets


def _learns_votes(recipe: Recipe, faces: Faces) -> bool:
    return faces.votes is not None and (recipe.labels == VOTES or recipe.fit.votes_weight > 0)


def _one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    return np.asarray(np.eye(count, dtype=np.float32)[labels])


def record_of(
    recipe: Recipe, recipe_name: str, dataset: Dataset, model: Any, heads: Heads
) -> Record:
    """Return what decides this training, for run.json."""
    return Record(
        recipe_name=recipe_name,
        recipe=recipe,
        heads={name: tuple(heads[name]) for name in model.output_names},
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        parameters=parameters(model),
        macs=macs(model),
        versions=versions(),
        machine=machine(),
    )


def calibrate(model: Any, stage: Stage, faces: Faces, targets: Targets) -> None:
    """Measure a fitted model (logits by head) on faces and write the stage's outcome."""
    predicted = predict(model, faces)
    accuracy, temperature, error = {}, {}, {}
    for head, target in targets.items():
        clear = target.max(-1) > MAJORITY
        logits, labels = predicted[head][clear], target[clear].argmax(-1)
        accuracy[head] = float((logits.argmax(-1) == labels).mean())
        temperature[head] = best_temperature(logits, labels)
        error[head] = calibration_error(softmax(logits, temperature[head]), labels)
    stage.write_outcome(Outcome(accuracy, temperature, error))


def predict(model: Any, faces: Faces) -> dict[str, np.ndarray]:
    """Return a Keras model's logits (N, labels) of faces, by head also where it has one."""
    images = Preprocess(size=model.input_shape[1]).to_float(faces.images)
    outputs = model.predict(images, batch_size=256, verbose=0)
    return outputs if isinstance(outputs, dict) else {model.output_names[0]: outputs}
