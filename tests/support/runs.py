"""Runs for tests that need no training: a net of one layer, written as `train` would."""

from __future__ import annotations

from pathlib import Path

import tf_keras as keras

from edgefer.labels import FERPLUS, LABEL_SETS
from edgefer.preprocess import Preprocess
from edgefer_train.architectures import as_outputs
from edgefer_train.data.dataset import Dataset
from edgefer_train.quantization.fake_quant import set_ranges
from edgefer_train.quantization.quantize import with_fake_quantization
from edgefer_train.recipe import Fit, Recipe
from edgefer_train.run import Record, Run, save_model


def write_run(
    out: Path, dataset: Dataset, labels: str = "fer2013", seed: int = 1, votes: bool = False
) -> Run:
    """Write a finished run, float and qat, that was trained on `dataset` for no time at all.

    With `votes` it has a head for FER+ too, as a training with votes.
    """
    keras.utils.set_random_seed(seed)
    image = keras.layers.Input((48, 48, 1), name="image")
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(image))
    heads = {labels: _labels(dataset, labels)} | ({"ferplus": FERPLUS} if votes else {})
    dense = {name: keras.layers.Dense(len(its), name=name)(flat) for name, its in heads.items()}
    model = keras.Model(image, as_outputs(dense))
    run = Run(out)
    run.start(_record(dataset, labels, heads), resume=False)
    save_model(model, run.float.model)
    quantized = with_fake_quantization(model, list(heads))
    set_ranges(quantized, model, Preprocess().to_float(dataset.faces.images[:64]))
    save_model(quantized, run.qat.model)
    for epoch, accuracy in enumerate((0.25, 0.5, 0.375), 1):
        figures = {"loss": 2.0, "accuracy": 0.3, "val_loss": 1.9, "val_accuracy": accuracy}
        run.float.add_row({"epoch": epoch, "seconds": 20.0, **figures})
    return run


def _labels(dataset: Dataset, name: str) -> tuple[str, ...]:
    return LABEL_SETS.get(name, dataset.labels)


def _record(dataset: Dataset, labels: str, heads: dict[str, tuple[str, ...]]) -> Record:
    return Record(
        recipe_name="linear",
        recipe=Recipe(
            "linear",
            labels=labels,
            split="72/8/20" if dataset.split == "72/8/20" else "official",
            fit=Fit(epochs=4),
        ),
        heads=heads,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        parameters=1015,
        macs=1008,
        versions={},
        machine="none",
    )
