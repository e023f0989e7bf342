"""Where a training's weights come from: an earlier training, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tf_keras as keras

from edgefer.errors import RunError
from edgefer_train.architectures import build
from edgefer_train.architectures.transfer import NONE
from edgefer_train.recipe import Recipe
from edgefer_train.run import Run


def build_model(recipe: Recipe, heads: dict[str, int], side: int | None) -> Any:
    """Return the model of a recipe, from the run that its `weights` name if they name one.

    Raises `RunError` for a run of another architecture or without a float model, and what
    `build` raises.
    """
    run = Run(Path(recipe.weights))
    if recipe.weights == NONE or not run.record_file.is_file():
        return build(recipe.architecture, heads, side, recipe.weights, recipe.frozen)
    model = build(recipe.architecture, heads, side, NONE, recipe.frozen)
    load_weights_from(model, run)
    return model


def load_weights_from(model: Any, run: Run) -> None:
    """Give a model the weights of a run's float model, layer by layer of the same name.

    A head of another size, for other labels, keeps its own. Raises `RunError`.
    """
    architecture = run.record().recipe.architecture
    if architecture != model.name:
        raise RunError(
            f"{run.folder}: holds {architecture}, the recipe wants {model.name}; "
            f"name a run of {model.name} as `weights`"
        )
    source = keras.models.load_model(run.model(run.float), compile=False)
    learnt = {layer.name: layer.get_weights() for layer in source.layers}
    for layer in model.layers:
        values = learnt.get(layer.name, [])
        if [one.shape for one in values] == [tuple(one.shape) for one in layer.weights]:
            layer.set_weights(values)
