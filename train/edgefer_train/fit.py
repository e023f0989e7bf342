"""The float training, top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from edgefer.errors import DatasetError
from edgefer.labels import FERPLUS, label_set
from edgefer.machine import machine
from edgefer_train.architectures import build, macs, one_head, parameters
from edgefer_train.batches import Targets, batches, plain, steps_per_epoch
from edgefer_train.callbacks import Bar, Keep
from edgefer_train.dataset import SIDE, Dataset, Faces, Usage, soft_labels
from edgefer_train.recipe import Fit, Recipe
from edgefer_train.run import Record, Run, Stage, save_model, versions

VOTES = "ferplus"
"""Name of the second head."""


def fit(recipe: Recipe, recipe_name: str, dataset: Dataset, out: Path, resume: bool) -> Run:
    """Train `recipe` on the dataset's Training part into the folder `out`.

    The weights kept are the moving average of the epoch that did best on
    PublicTest. Raises `RunError` when `out` holds another training and `DatasetError`
    when the dataset has other labels than the recipe wants.
    """
    if label_set(recipe.labels) != dataset.labels:
        raise DatasetError(
            f"the recipe wants the labels of {recipe.labels}, {dataset.name} has "
            f"{', '.join(dataset.labels)}; change `labels` in the recipe"
        )
    keras.utils.set_random_seed(recipe.seed)
    run, model = Run(out), build(recipe.architecture, heads_of(recipe, dataset))
    run.start(record_of(recipe, recipe_name, dataset, model), resume)
    # While the pictures grow, the same layers must take any side.
    fitted = (
        build(recipe.architecture, heads_of(recipe, dataset), None) if recipe.fit.sizes else model
    )
    fit_stage(fitted, run.float, recipe, dataset)
    model.set_weights(fitted.get_weights())
    save_model(one_head(model, recipe.labels), run.float.model)
    return run


def fit_stage(model: Any, stage: Stage, recipe: Recipe, dataset: Dataset) -> None:
    """Fit a model from the stage's last checkpoint on; it ends with the best averaged weights."""
    training, validation = dataset.part(Usage.Training), dataset.part(Usage.PublicTest)
    steps = steps_per_epoch(training, recipe.fit.batch_size)
    compile_for(model, recipe, steps)
    metric = "accuracy" if len(model.outputs) == 1 else f"{recipe.labels}_accuracy"
    keep = Keep(stage, plain(validation, targets_of(recipe, validation)), metric)
    first = keep.restore(model)
    targets = targets_of(recipe, training)
    for side, last in parts(recipe.fit):
        if first >= last:
            continue
        data = batches(
            training,
            targets,
            recipe.augment,
            recipe.fit.batch_size,
            recipe.seed,
            first_step=first * steps,
            side=side,
        )
        model.fit(
            data,
            epochs=last,
            initial_epoch=first,
            steps_per_epoch=steps,
            callbacks=[keep, Bar(recipe.fit.epochs, steps, first)],
            verbose=0,
        )
        first = last
    model.load_weights(stage.weights)


def parts(how: Fit) -> list[tuple[int, int]]:
    """Return the side of the pictures in each part of a fit, and the epoch that ends the part."""
    sizes = how.sizes or (SIDE,)
    return [(side, how.epochs * at // len(sizes)) for at, side in enumerate(sizes, 1)]


def heads_of(recipe: Recipe, dataset: Dataset) -> dict[str, int]:
    """Return the outputs' sizes: the recipe's labels, and FER+ votes where they are known."""
    heads = {recipe.labels: len(label_set(recipe.labels))}
    if dataset.faces.votes is not None and recipe.fit.votes_weight > 0:
        heads[VOTES] = len(FERPLUS)
    return heads


def targets_of(recipe: Recipe, faces: Faces) -> Targets:
    """Return what each head should say of each face, as distributions over its labels."""
    targets = {recipe.labels: np.eye(len(label_set(recipe.labels)), dtype=np.float32)[faces.labels]}
    if faces.votes is not None and recipe.fit.votes_weight > 0:
        targets[VOTES] = soft_labels(faces.votes)
    return targets


def compile_for(model: Any, recipe: Recipe, steps: int) -> None:
    """Give the model its losses and SGD along a cosine with warm-up."""
    how = recipe.fit
    warmup = round(how.warmup_epochs * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, how.epochs * steps - warmup, warmup_target=how.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.SGD(
        rate,
        momentum=0.9,
        nesterov=True,
        # Decoupled from the momentum: ten times the figure that coupled decay would need.
        weight_decay=10 * how.weight_decay,
        use_ema=how.average > 0,
        ema_momentum=how.average,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
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
        heads={name: label_set(name) for name in model.output_names},
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        parameters=parameters(primary),
        macs=macs(primary),
        versions=versions(),
        machine=machine(),
    )
