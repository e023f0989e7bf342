"""A finished training run as a source: its float model and the quantization-aware one."""

from __future__ import annotations

from typing import Any

import msgspec

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
from edgefer_train.architectures import one_head
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


def source_of_run(run: Run, head: str, ptq: bool, images: ImageSource) -> Source:
    """Return one head of a run; with `ptq`, int8 comes from the float model and `images`.

    Raises `RunError` when a model that is needed is not finished.
    """
    record = run.record()
    float_model = load_head(run, run.float, head)
    qat_model = None if ptq else load_head(run, run.qat, head)
    return Source(
        name=f"{record.recipe_name}-{head}",
        label_set=head,
        labels=record.heads[head],
        side=record.recipe.side,
        evidence=_evidence(run, record, ptq),
        licences=OWN_LICENCES if head == FOLDERS else LICENCES,
        logits=logits_of(float_model),
        converters=converters(float_model, qat_model, images),
    )


def load_head(run: Run, stage: Stage, head: str) -> Any:
    """Return one head of a stage's Keras model; raise `RunError` where it cannot be read."""
    path = run.model(stage)
    try:
        model = load_quantized(path)
    except (OSError, ValueError, KeyError) as exc:
        first = (str(exc).splitlines() or ["?"])[0]
        raise RunError(f"{path}: not a model that Keras can read: {first}") from exc
    require_finite(path, model.get_weights())
    names = {layer.name for layer in model.layers}
    # In runs of before heads kept their names, quantization put `quant_` before them.
    return one_head(model, head if head in names else f"quant_{head}")


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
        scores={},
        quantization=POST_TRAINING if ptq else QAT,
    )
