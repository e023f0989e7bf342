"""A finished training run as a source: its float model and the quantization-aware one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import tf_keras as keras

from edgefer.errors import RunError
from edgefer.labels import FOLDERS
from edgefer.manifest import Evidence
from edgefer_convert.importers.keras_model import converters, logits_of
from edgefer_convert.importers.source import (
    POST_TRAINING,
    ImageSource,
    Source,
    require_finite,
)
from edgefer_train.quantization.fake_quant import load_quantized
from edgefer_train.run import Record, Run, Stage

QAT = "quantization-aware training"
LICENCES = {
    "model": "Apache-2.0",
    "training images": "FER2013: no licence; research use; no image is in this bundle",
    "FER+ votes": "MIT (microsoft/FERPlus)",
}
OWN_LICENCES = {
    "model": "as its maker states",
    "training images": "as their owner states; no image is in this bundle",
}


def select_head(run: Run, labels: str | None) -> str:
    """Return the head for `labels`, the recipe's own unless named; raise `RunError` for none."""
    record = run.record()
    head = labels or record.recipe.labels
    if head not in record.heads:
        known = ", ".join(record.heads)
        raise RunError(f"{run.folder}: has no labels '{head}'; it was trained for: {known}")
    return head


def source_of_run(run: Run, only: str, ptq: bool, images: ImageSource) -> Source:
    """Return a run's heads, `only` for files of one; with `ptq`, int8 comes from the float model
    and `images`.

    Raises `RunError` when a model that is needed is not finished.
    """
    record = run.record()
    float_model = load_heads(run, run.float, record.heads)
    qat_model = None if ptq else load_heads(run, run.qat, record.heads)
    return Source(
        name=record.recipe_name,
        heads=record.heads,
        only=only,
        side=record.recipe.side,
        evidence=_evidence(run, record, ptq),
        licences=OWN_LICENCES if FOLDERS in record.heads else LICENCES,
        logits=logits_of(float_model),
        converters=converters(float_model, qat_model, images),
    )


def load_heads(run: Run, stage: Stage, heads: Iterable[str]) -> Any:
    """Return a stage's Keras model, its outputs in the order of `heads`, one by itself.

    Raises `RunError` where it cannot be read.
    """
    path = run.model(stage)
    try:
        model = load_quantized(path)
    except (OSError, ValueError, KeyError) as exc:
        first = (str(exc).splitlines() or ["?"])[0]
        raise RunError(f"{path}: not a model that Keras can read: {first}") from exc
    require_finite(path, model.get_weights())
    outputs = [model.get_layer(head).output for head in heads]
    return keras.Model(model.input, outputs if len(outputs) > 1 else outputs[0], name=model.name)


def _evidence(run: Run, record: Record, ptq: bool) -> Evidence:
    return Evidence(
        dataset=record.dataset,
        fingerprint=record.fingerprint,
        recipe_name=record.recipe_name,
        recipe=msgspec.to_builtins(record.recipe),
        seed=record.recipe.seed,
        parameters=record.parameters,
        macs=record.macs,
        minutes=round(run.float.minutes() if ptq else run.minutes(), 1),
        machine=record.machine,
        versions=record.versions,
        quantization=POST_TRAINING if ptq else QAT,
    )
