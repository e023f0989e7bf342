"""The float training, top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from edgefer.errors import DatasetError
from edgefer.labels import FERPLUS, LABEL_SETS
from edgefer.machine import machine
from edgefer_train.architectures import build, macs, one_head, parameters
from edgefer_train.data.dataset import Dataset, Faces, Usage, soft_labels
from edgefer_train.fitting.batches import Targets, batches, plain, steps_per_epoch
from edgefer_train.fitting.calibration import calibrate
from edgefer_train.fitting.callbacks import Bar, Board, Keep, Rate
from edgefer_train.fitting.schedule import optimizer_of
from edgefer_train.fitting.teachers import Teachers, hire
from edgefer_train.recipe import Recipe
from edgefer_train.run import Record, Run, Stage, save_model, versions

VOTES = "ferplus"
"""Name of the second head."""


def fit(recipe: Recipe, recipe_name: str, dataset: Dataset, out: Path, resume: bool) -> Run:
    """Train `recipe` on the dataset's Training part into the folder `out`.

    The weights kept are the moving average of the epoch that did best on
    PublicTest. Raises `RunError` when `out` holds another training and `DatasetError`
    when the dataset has other labels than the recipe wants.
    """
    wanted = LABEL_SETS.get(recipe.labels, dataset.labels)
    if wanted != dataset.labels:
        raise DatasetError(
            f"the recipe wants the labels of {recipe.labels}, {dataset.name} has "
            f"{', '.join(dataset.labels)}; change `labels` in the recipe"
        )
    keras.utils.set_random_seed(recipe.seed)
    run, model = Run(out), _build(recipe, dataset, recipe.side)
    run.start(record_of(recipe, recipe_name, dataset, model), resume)
    # While the pictures grow, the same layers must take any side.
    fitted = _build(recipe, dataset, None) if recipe.fit.sizes else model
    fit_stage(
        fitted, run.float, recipe, dataset, hire(recipe.distill, dataset.part(Usage.Training))
    )
    model.set_weights(fitted.get_weights())
    validation = dataset.part(Usage.PublicTest)
    calibrate(model, run.float, validation, targets_of(recipe, dataset, validation))
    save_model(model, run.float.model)
    return run


def _build(recipe: Recipe, dataset: Dataset, side: int | None) -> Any:
    heads = heads_of(recipe, dataset)
    return build(recipe.architecture, heads, side, recipe.weights, recipe.frozen)


def fit_stage(
    model: Any, stage: Stage, recipe: Recipe, dataset: Dataset, teachers: Teachers | None = None
) -> None:
    """Fit a model from the stage's last checkpoint on; it ends with the best averaged weights."""
    training, validation = dataset.part(Usage.Training), dataset.part(Usage.PublicTest)
    steps = steps_per_epoch(training, recipe.fit.batch_size, recipe.fit.balance)
    compile_for(model, recipe, steps)
    metric = "accuracy" if len(model.outputs) == 1 else f"{recipe.labels}_accuracy"
    keep = Keep(stage, plain(validation, targets_of(recipe, dataset, validation)), metric)
    first = keep.restore(model)
    targets = targets_of(recipe, dataset, training)
    if teachers:
        targets = teachers.before(targets)
    rate = Rate(stage, recipe.fit, f"val_{metric}")
    for side, last in parts(recipe):
        if first >= last or rate.ended():
            continue
        data = batches(
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
            data,
            epochs=last,
            initial_epoch=first,
            steps_per_epoch=steps,
            callbacks=[keep, rate, Board(stage), Bar(recipe.fit.epochs, steps, first)],
            verbose=0,
        )
        first = last
    model.load_weights(stage.weights)


def parts(recipe: Recipe) -> list[tuple[int, int]]:
    """Return the side of the pictures in each part of a fit, and the epoch that ends the part."""
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


def compile_for(model: Any, recipe: Recipe, steps: int) -> None:
    """Give the model its losses and its optimizer."""
    how, optimizer = recipe.fit, optimizer_of(recipe.fit, steps)
    cross_entropy = keras.losses.CategoricalCrossentropy
    smoothed, plain_one = cross_entropy(True, how.label_smoothing), cross_entropy(True)
    if len(model.outputs) == 1:
        model.compile(optimizer, smoothed, metrics=["accuracy"], jit_compile=how.xla)
        return
    model.compile(
        optimizer,
        {recipe.labels: smoothed, VOTES: plain_one},
        metrics={recipe.labels: "accuracy", VOTES: "accuracy"},
        loss_weights={recipe.labels: 1.0, VOTES: how.votes_weight},
        jit_compile=how.xla,
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
