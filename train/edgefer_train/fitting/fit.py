"""The float training, top to bottom."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from edgefer.errors import DatasetError
from edgefer.labels import FERPLUS, LABEL_SETS
from edgefer.machine import machine
from edgefer_train.architectures import macs, one_head, parameters
from edgefer_train.data.dataset import Dataset, Faces, Usage, soft_labels
from edgefer_train.fitting.batches import Targets, batches, plain, steps_per_epoch
from edgefer_train.fitting.calibration import calibrate
from edgefer_train.fitting.callbacks import (
    BestCheckpoint,
    LearningRateSchedule,
    ProgressBar,
    TensorBoard,
)
from edgefer_train.fitting.dropout import make_deterministic
from edgefer_train.fitting.initial_weights import build_model
from edgefer_train.fitting.schedule import optimizer_of
from edgefer_train.fitting.strategy import ReplicaGroup, single
from edgefer_train.fitting.teachers import Teachers, load_teachers
from edgefer_train.recipe import Recipe
from edgefer_train.run import Record, Run, Stage, save_model, versions

VOTES = "ferplus"
"""Name of the second head."""
FLOAT32 = "float32"


def fit(
    recipe: Recipe,
    recipe_name: str,
    dataset: Dataset,
    out: Path,
    resume: bool,
    group: ReplicaGroup | None = None,
) -> Run:
    """Train `recipe` on the dataset's Training part into the folder `out`.

    The weights kept are the moving average of the epoch that did best on
    PublicTest. Raises `RunError` when `out` holds another training or a worker of the group
    is lost, `DatasetError` when the dataset has other labels than the recipe wants and
    `SettingsError` when the group cannot share the recipe's batches.
    """
    wanted = LABEL_SETS.get(recipe.labels, dataset.labels)
    if wanted != dataset.labels:
        raise DatasetError(
            f"the recipe wants the labels of {recipe.labels}, {dataset.name} has "
            f"{', '.join(dataset.labels)}; change `labels` in the recipe"
        )
    group = group or single()
    group.require(recipe)
    keras.utils.set_random_seed(recipe.seed)
    with group.run_dir(out) as folder:
        run, model = Run(folder), _build(recipe, dataset, recipe.side)
        group.start(run, record_of(recipe, recipe_name, dataset, model), resume)
        teachers = load_teachers(recipe.distill, dataset.part(Usage.Training))
        fitted = _twin(model, recipe, dataset, group)
        fit_stage(fitted, run.float, recipe, dataset, teachers, group)
        model.load_weights(run.float.weights)
        validation = dataset.part(Usage.PublicTest)
        calibrate(model, run.float, validation, targets_of(recipe, dataset, validation))
        save_model(model, run.float.model)
    return run


def _twin(model: Any, recipe: Recipe, dataset: Dataset, group: ReplicaGroup) -> Any:
    """The model to fit in this one's place, with its weights: itself where that can be."""
    how = recipe.fit
    if not how.sizes and group.replicas == 1 and how.precision == FLOAT32:
        return model
    with group.scope(), computing_in(how.precision):
        # While the images grow, the same layers must take any side.
        twin = _build(recipe, dataset, None if how.sizes else recipe.side)
    twin.set_weights(model.get_weights())
    return twin


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let the layers made inside compute in this precision; their weights stay in 32 bits."""
    policy = precision if precision == FLOAT32 else f"mixed_{precision}"
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def _build(recipe: Recipe, dataset: Dataset, side: int | None) -> Any:
    return build_model(recipe, heads_of(recipe, dataset), side)


def fit_stage(
    model: Any,
    stage: Stage,
    recipe: Recipe,
    dataset: Dataset,
    teachers: Teachers | None = None,
    group: ReplicaGroup | None = None,
    judged_by: Targets | None = None,
) -> None:
    """Fit a model from the stage's last checkpoint on; the best average is in `stage.weights`.

    Best is what says most of `judged_by`, targets on PublicTest: unless given, the labels.
    A group of several replicas needs the model to have been built in its scope.
    """
    group = group or single()
    training, validation = dataset.part(Usage.Training), dataset.part(Usage.PublicTest)
    how = recipe.fit
    steps = steps_per_epoch(training, how.batch_size, how.balance, how.epoch_share)
    group.synchronize(model)
    with group.scope():
        compile_for(model, recipe, steps, xla=recipe.fit.xla and group.replicas == 1)
        make_deterministic(model, recipe.seed)
        metric = "accuracy" if len(model.outputs) == 1 else f"{recipe.labels}_accuracy"
        judged_by = judged_by or targets_of(recipe, dataset, validation)
        keep = BestCheckpoint(stage, plain(validation, judged_by), metric)
        first = keep.restore(model)
    targets = targets_of(recipe, dataset, training)
    if teachers:
        targets = teachers.before(targets)
    rate = LearningRateSchedule(stage, recipe.fit, f"val_{metric}")
    for side, last in parts(recipe):
        if first >= last or rate.ended():
            continue
        make = functools.partial(
            batches,
            training,
            targets,
            recipe.augment,
            recipe.fit.batch_size,
            recipe.seed,
            first_step=first * steps,
            side=side,
            balance=recipe.fit.balance,
            labels=dataset.labels,
            teach=teachers,
        )
        model.fit(
            group.share(make),
            epochs=last,
            initial_epoch=first,
            steps_per_epoch=steps,
            callbacks=[
                keep,
                rate,
                TensorBoard(stage),
                ProgressBar(recipe.fit.epochs, steps, first),
            ],
            verbose=0,
        )
        first = last


def parts(recipe: Recipe) -> list[tuple[int, int]]:
    """Return the side of the images in each part of a fit, and the epoch that ends the part."""
    sizes, epochs = recipe.fit.sizes or (recipe.side,), recipe.fit.epochs
    return [(side, epochs * at // len(sizes)) for at, side in enumerate(sizes, 1)]


def heads_of(recipe: Recipe, dataset: Dataset) -> dict[str, int]:
    """Return the outputs' sizes: the recipe's labels, and FER+ votes where they are known."""
    heads = {recipe.labels: len(dataset.labels)}
    if _learns_votes(recipe, dataset.faces):
        heads[VOTES] = len(FERPLUS)
    return heads


def targets_of(recipe: Recipe, dataset: Dataset, faces: Faces) -> Targets:
    """Return what each head should say of each face, as distributions over its labels."""
    targets = {recipe.labels: _one_hot(faces.labels, len(dataset.labels))}
    if faces.votes is not None and _learns_votes(recipe, faces):
        shares = soft_labels(faces.votes)
        soft = recipe.fit.soft_labels
        targets[VOTES] = shares if soft else _one_hot(shares.argmax(-1), len(FERPLUS))
    return targets


def _learns_votes(recipe: Recipe, faces: Faces) -> bool:
    wanted = recipe.labels == VOTES or recipe.fit.votes_weight > 0
    return faces.votes is not None and wanted


def _one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    return np.asarray(np.eye(count, dtype=np.float32)[labels])


def compile_for(model: Any, recipe: Recipe, steps: int, xla: bool) -> None:
    """Give the model its losses and its optimizer."""
    how, optimizer = recipe.fit, optimizer_of(recipe.fit, steps)
    cross_entropy = keras.losses.CategoricalCrossentropy
    smoothed, plain_one = cross_entropy(True, how.label_smoothing), cross_entropy(True)
    if len(model.outputs) == 1:
        model.compile(optimizer, smoothed, metrics=["accuracy"], jit_compile=xla)
        return
    model.compile(
        optimizer,
        {recipe.labels: smoothed, VOTES: plain_one},
        metrics={recipe.labels: "accuracy", VOTES: "accuracy"},
        loss_weights={recipe.labels: 1.0, VOTES: how.votes_weight},
        jit_compile=xla,
    )


def record_of(recipe: Recipe, recipe_name: str, dataset: Dataset, model: Any) -> Record:
    """Return what decides this training, for run.json."""
    primary = one_head(model, recipe.labels)
    return Record(
        recipe_name=recipe_name,
        recipe=recipe,
        heads={name: labels_of(name, dataset) for name in model.output_names},
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        parameters=parameters(primary),
        macs=macs(primary),
        versions=versions(),
        machine=machine(),
    )


def labels_of(head: str, dataset: Dataset) -> tuple[str, ...]:
    """Return the labels of a head: a known set's, or the dataset's own."""
    return LABEL_SETS.get(head, dataset.labels)
