"""Quantization-aware fine-tuning of a trained float model.

Source of the method: Jacob et al. 2018, section 3, as tfmot implements it:
per-channel scales for weights, per-tensor for activations, int8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tf_keras as keras

from edgefer.preprocess import Preprocess
from edgefer_train.architectures import as_outputs
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.fitting.fit import calibrate, fit_stage, predict, targets_of, writing
from edgefer_train.fitting.teachers import Teachers, blend
from edgefer_train.quantization.fake_quant import prepare_for_quantization, set_ranges
from edgefer_train.recipe import Distill, Recipe
from edgefer_train.run import Run, Stage, save_model

CALIBRATION_IMAGES = 512
"""Images of Training from which the first ranges of activations are taken."""


def quantize(run: Run, dataset: Dataset) -> None:
    """Fine-tune the run's float model with fake quantization and write its qat model.

    A quantization that was killed resumes, as long as the float model
    is the same. Raises `RunError` when the run has no finished float model and
    `DatasetError` when `dataset` is not the one it was trained on.
    """
    record = run.record()
    source = run.model(run.float)
    run.require_data(dataset)
    recipe = fine_tuning_recipe(record.recipe)
    keras.utils.set_random_seed(recipe.seed)
    float_model = keras.models.load_model(source, compile=False)
    model = with_fake_quantization(float_model, list(record.heads))
    images = dataset.part(Usage.Training).images[:CALIBRATION_IMAGES]
    set_ranges(model, float_model, Preprocess(size=recipe.side).to_float(images))
    teacher = Teachers((float_model,), weight=recipe.distill.weight)
    validation = dataset.part(Usage.PublicTest)
    targets = targets_of(recipe, dataset, validation)
    # Validated by what it is to learn: the float model's labels, as far as those are its targets.
    share, expected = recipe.distill.weight, None
    if record.recipe.quantize.followed == "agreement":
        expected = blend(targets, predict(float_model, validation), share)
    with writing(run.folder):
        stage = _stage_for(run, source)
        fit_stage(model, stage, recipe, dataset, teacher, float_targets=expected)
        model.load_weights(stage.weights)
        calibrate(model, stage, validation, targets)
        save_model(model, run.qat.model)


def with_fake_quantization(float_model: Any, heads: Sequence[str]) -> Any:
    """Return the float model with fake quantization, its outputs named by head as before."""
    model = prepare_for_quantization(float_model)
    # tfmot renames the layers that it wraps; a layer that does nothing gives the name back.
    outputs = {
        head: keras.layers.Activation("linear", name=head)(model.get_layer(f"quant_{head}").output)
        for head in heads
    }
    return keras.Model(model.input, as_outputs(outputs), name=float_model.name)


def fine_tuning_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with its fine-tuning in place of its fit: low rate, itself as teacher."""
    how = recipe.quantize
    fit = msgspec.structs.replace(
        recipe.fit,
        epochs=how.epochs,
        learning_rate=how.learning_rate,
        schedule="cosine",
        warmup_epochs=0.1,
        early_stopping=0,
        sizes=(),
        precision="float32",
        # The float model, which is the teacher here, has no shift in its own probabilities.
        balance="none" if recipe.fit.balance == "logit_adjustment" else recipe.fit.balance,
        # Smoothing on top of the float model's own doubts would teach int8 to be less sure.
        label_smoothing=recipe.fit.label_smoothing * (1 - how.distill),
    )
    distill = Distill(weight=how.distill)
    return msgspec.structs.replace(recipe, fit=fit, distill=distill)


def _stage_for(run: Run, source: Path) -> Stage:
    """The qat stage, its checkpoint named after the float model that it starts from."""
    stage = run.qat
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    stage.checkpoint = stage.checkpoint.with_name(f"qat-{digest}.checkpoint")
    return stage
