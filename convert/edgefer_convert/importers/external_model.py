"""Models made elsewhere: opening their files, and their labels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgefer.errors import ConversionError, DatasetError, SettingsError
from edgefer.labels import FOLDERS, LABEL_SETS, check_labels, spelled
from edgefer.machine import machine
from edgefer.manifest import Evidence
from edgefer.text_files import read_text
from edgefer_convert.formats.onnx_files import macs, parameters
from edgefer_convert.importers.keras_model import open_keras
from edgefer_convert.importers.onnx_model import open_onnx
from edgefer_convert.importers.source import (
    GIVEN_IMAGES,
    POST_TRAINING,
    ExternalModel,
    ImageSource,
    Source,
    require_finite,
)
from edgefer_train.data.dataset import Dataset
from edgefer_train.data.sources import load
from edgefer_train.run import versions

log = logging.getLogger(__name__)


def import_model(path: Path, pixels: str = "0..1") -> ExternalModel:
    """Open a model by its name: `.onnx`, else what Keras writes (`.h5`, `.keras`, SavedModel).

    `pixels` is one of `PIXEL_RANGES`. Raises `ConversionError` for what is no model, or none
    that can be converted.
    """
    if not path.exists():
        raise ConversionError(f"{path}: no such file; name a .h5, .keras or .onnx model")
    return open_onnx(path, pixels) if path.suffix == ".onnx" else open_keras(path, pixels)


def read_labels(text: str | None, model: ExternalModel) -> tuple[str, ...]:
    """Return the labels in `a,b,c` or in a file with one a line.

    All those of one of our label sets are spelled as there, any others stay as they are.
    Raises `SettingsError` when there are not as many as the model has outputs.
    """
    if not text:
        raise SettingsError(
            f"{model.path}: name its {model.outputs} outputs in their order: --labels a,b,c or a "
            "file with one label a line"
        )
    file = Path(text)
    lines = read_text(file).splitlines() if file.is_file() else text.split(",")
    labels = tuple(line.strip() for line in lines if line.strip())
    ours = tuple(map(spelled, labels))
    labels = labels if label_set_of(ours) == FOLDERS else ours
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise SettingsError(f"--labels names '{twice[0]}' twice: {', '.join(labels)}")
    if len(labels) != model.outputs:
        raise SettingsError(
            f"{model.path}: has {model.outputs} outputs, --labels names {len(labels)}: "
            f"{', '.join(labels) or 'none'}"
        )
    check_labels(labels, str(model.path))
    return labels


def label_set_of(labels: Sequence[str]) -> str:
    """Return the name of the set that has these labels, in any order; `folders` for no known."""
    known = (name for name, its in LABEL_SETS.items() if set(its) == set(labels))
    return next(known, FOLDERS)


def load_dataset(
    labels: Sequence[str], data: Path | None, split: str, model: ExternalModel
) -> Dataset | None:
    """Return the dataset to measure a model with these labels on, its faces of the model's size.

    Without `data` there is none, and a warning. Raises `DatasetError` for what cannot be read, and
    `ConversionError` where the labels, unknown here, are not the dataset's own folders either.
    """
    name = label_set_of(labels)
    if data is None:
        log.warning("no --data: what %s predicts is not judged, only its files are", model.path)
        return None
    try:
        return load(data, name, split, model.side)
    except DatasetError as exc:
        if name != FOLDERS:
            raise
        known = " nor ".join(LABEL_SETS)
        raise ConversionError(
            f"{model.path}: has the labels {', '.join(labels)}: neither those of {known}, so the "
            f"dataset must have a folder for each, or leave --data and EDGEFER_DATA out; {exc}"
        ) from exc


def source_of_model(
    model: ExternalModel, labels: Sequence[str], dataset: Dataset | None, images: ImageSource
) -> Source:
    """Return an external model as a source, its outputs in the order of the dataset's labels.

    They match without regard to case. Without a dataset the order is that of a label set that is
    known, else the model's own. Raises `ConversionError` for other labels than the dataset's, and
    where the model returns probabilities instead of logits.
    """
    label_set = label_set_of(labels)
    ours = LABEL_SETS.get(label_set, tuple(labels))
    if dataset:
        ours, labels = dataset.labels, _spelled_as(dataset, labels, model.path)
    _require_logits(model, dataset)
    ordered = model.reordered([labels.index(label) for label in ours])
    return Source(
        name=model.path.stem,
        heads={label_set: ours},
        only=label_set,
        side=model.side,
        evidence=_evidence(ordered, dataset),
        licences={"model": "as its maker states"},
        logits=ordered.logits,
        converters=ordered.converters(images),
    )


def _spelled_as(dataset: Dataset, labels: Sequence[str], path: Path) -> list[str]:
    folded = {label.casefold(): label for label in dataset.labels}
    spelled = [
        label if label in dataset.labels else folded.get(label.casefold(), label)
        for label in labels
    ]
    if len(spelled) != len(dataset.labels) or set(spelled) != set(dataset.labels):
        raise ConversionError(
            f"{path}: has the labels {', '.join(spelled)}; {dataset.name} has "
            f"{', '.join(dataset.labels)}"
        )
    return spelled


def _evidence(model: ExternalModel, dataset: Dataset | None) -> Evidence:
    content = model.onnx()
    digest = hashlib.sha256(_bytes(model.path)).hexdigest()
    return Evidence(
        dataset=dataset.name if dataset else "none",
        fingerprint=dataset.fingerprint if dataset else "",
        recipe_name="none",
        recipe={
            "architecture": model.architecture,
            "side": model.side,
            "split": dataset.split if dataset else "official",
        },
        seed=0,
        parameters=parameters(content),
        macs=macs(content),
        minutes=0.0,
        machine=machine(),
        versions=versions(),
        origin=f"{model.path.name}, sha256 {digest}",
        quantization=POST_TRAINING if dataset else GIVEN_IMAGES,
    )


def _require_logits(model: ExternalModel, dataset: Dataset | None) -> None:
    """Refuse probabilities: a softmax is removed where it is the last layer, and only there."""
    # Of noise too they would sum to one.
    noise = np.random.default_rng(0).integers(0, 256, (16, model.side, model.side), np.uint8)
    logits = model.logits(dataset.faces.images[:16] if dataset else noise)
    require_finite(model.path, [logits])
    if (logits >= 0).all() and np.allclose(logits.sum(-1), 1, atol=1e-3):
        raise ConversionError(
            f"{model.path}: expected logits, got probabilities, and not from a last softmax layer "
            "that could be removed; save it with logits as its outputs"
        )


def _bytes(path: Path) -> bytes:
    """Return the bytes of a file, or of all files in a folder in order."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return b"".join(file.read_bytes() for file in files)
