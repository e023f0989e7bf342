"""Quantization-aware fine-tuning of a trained float model.

Source of the method: Jacob et al. 2018, section 3, as tfmot implements it:
per-channel scales for weights, per-tensor for activations, int8.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from edgefer.preprocess import Preprocess
from edgefer_train.dataset import Dataset, Usage
from edgefer_train.fit import fit_stage
from edgefer_train.ranges import set_ranges
from edgefer_train.recipe import Recipe
from edgefer_train.run import Run, Stage, save_model

MEASURED = 512
"""Pictures of Training from which the first ranges of activations are taken."""


def quantize(run: Run, dataset: Dataset) -> None:
    """Fine-tune the run's float model with fake quantization and write its qat model.

    A quantization that was killed goes on where it was, as long as the float model
    is the same. Raises `RunError` when the run has no finished float model and
    `DatasetError` when `dataset` is not the one it was trained on.
    """
    record = run.record()
    source = run.model(run.float)
    run.require_data(dataset)
    recipe = as_fine_tuning(record.recipe)
    keras.utils.set_random_seed(recipe.seed)
    float_model = keras.models.load_model(source, compile=False)
    model = tfmot.quantization.keras.quantize_model(float_model)
    pictures = dataset.part(Usage.Training).images[:MEASURED]
    set_ranges(model, float_model, Preprocess().to_float(pictures))
    fit_stage(model, _stage_for(run, source), recipe, dataset)
    save_model(model, run.qat.model)


def as_fine_tuning(recipe: Recipe) -> Recipe:
    """Return the recipe with its fine-tuning in place of its fit: one head, low rate."""
    how = recipe.quantize
    fit = msgspec.structs.replace(
        recipe.fit,
        epochs=how.epochs,
        learning_rate=how.learning_rate,
        warmup_epochs=0.1,
        votes_weight=0.0,
        sizes=(),
    )
    return msgspec.structs.replace(recipe, fit=fit)


def _stage_for(run: Run, source: Path) -> Stage:
    """The qat stage, its checkpoint named after the float model that it goes on from."""
    stage = run.qat
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    stage.checkpoint = stage.checkpoint.with_name(f"qat-{digest}.checkpoint")
    return stage
