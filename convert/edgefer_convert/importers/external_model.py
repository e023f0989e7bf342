"""A model that was made elsewhere: what we ask of it, whatever file it comes in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgefer.errors import ConversionError, DatasetError, SettingsError
from edgefer.labels import FOLDERS, LABEL_SETS, spelled
from edgefer.machine import machine
from edgefer.manifest import Evidence
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer_convert.formats.onnx_files import macs, parameters
from edgefer_convert.formats.representative import Pictures
from edgefer_convert.importers.source import AFTER_TRAINING, Made, Source
from edgefer_train.data.dataset import Dataset
from edgefer_train.data.sources import load
from edgefer_train.run import versions

PIXELS = {"0..1": (1.0, 0.0), "-1..1": (2.0, -1.0), "0..255": (255.0, 0.0)}
"""How a model was trained to see black..white, as scale and offset of our 0..1."""


class Brought(Protocol):
    """A float model brought to our form: grey 0..1 (1, side, side, 1) in, logits out."""

    path: Path
    architecture: str
    side: int
    """Of the input, pixels."""
    outputs: int

    def in_order(self, order: Sequence[int]) -> Brought:
        """Return the model with its outputs in another order, `order[0]` first."""
        ...

    def onnx(self) -> bytes:
        """Return the model as a float ONNX file."""
        ...

    def logits(self, images: Pixels) -> Logits:
        """Return logits (N, outputs) of grey pictures uint8 (N, side, side)."""
        ...

    def makers(self, pictures: Callable[[], Pictures]) -> dict[str, Callable[[Made], bytes]]:
        """Return what makes each format, from representative pictures where it needs them."""
        ...


def bring(path: Path, pixels: str = "0..1") -> Brought:
    """Open a model by its name: `.onnx`, else what Keras writes (`.h5`, `.keras`, SavedModel).

    Raises `ConversionError` for what is no model, or none that can be converted.
    """
    if not path.exists():
        raise ConversionError(f"{path}: no such file; name a .h5, .keras or .onnx model")
    if path.suffix == ".onnx":
        from edgefer_convert.importers.onnx_file import open_onnx

        return open_onnx(path, pixels)
    from edgefer_convert.importers.keras_file import open_keras

    return open_keras(path, pixels)


def side_of(path: Path, shape: Sequence[Any]) -> int:
    """Return the side of the pictures that an input (height, width, channels) takes.

    Raises `ConversionError` unless it is one square picture, grey or RGB, of fixed size.
    """
    fixed = all(isinstance(side, int) and side > 0 for side in shape)
    if not fixed or len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        asked = "x".join(str(side or "?") for side in shape)
        raise ConversionError(
            f"{path}: takes {asked}; wanted is one square picture of fixed size, grey or RGB, "
            "as 48x48x1"
        )
    return int(shape[0])


def read_labels(text: str | None, outputs: int, path: Path) -> tuple[str, ...]:
    """Return the labels in `a,b,c` or in a file with one a line, spelled as ours.

    Raises `SettingsError` when there are not as many as the model has outputs.
    """
    if not text:
        raise SettingsError(
            f"{path}: name its {outputs} outputs in their order: --labels a,b,c or a file with "
            "one label a line"
        )
    file = Path(text)
    try:
        words = file.read_text().splitlines() if file.is_file() else text.split(",")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"--labels {file}: cannot be read: {exc}") from exc
    labels = tuple(spelled(word.strip()) for word in words if word.strip())
    if len(labels) != outputs or len(set(labels)) != outputs:
        raise SettingsError(
            f"{path}: has {outputs} outputs, --labels names {len(set(labels))}: "
            f"{', '.join(labels) or 'none'}"
        )
    return labels


def label_set_of(labels: Sequence[str]) -> str:
    """Return the name of the set that the labels are, in whatever order; `folders` of no known."""
    known = (name for name, its in LABEL_SETS.items() if set(its) == set(labels))
    return next(known, FOLDERS)


def dataset_for(
    labels: Sequence[str], data: Path | None, split: str, side: int, path: Path
) -> Dataset:
    """Return the dataset to measure a model with these labels on, its faces `side` pixels wide.

    Raises `DatasetError` where there is none, and `ConversionError` where the labels, unknown
    here, are not the names of the dataset's own folders either.
    """
    name = label_set_of(labels)
    try:
        return load(data, name, split, side)
    except DatasetError as exc:
        if name != FOLDERS or data is None:
            raise
        known = " nor ".join(LABEL_SETS)
        raise ConversionError(
            f"{path}: says {', '.join(labels)}: neither the labels of {known}, so the dataset "
            f"must have a folder for each; {exc}"
        ) from exc


def source_of_file(
    brought: Brought, labels: Sequence[str], dataset: Dataset, pictures: Callable[[], Pictures]
) -> Source:
    """Return a brought model as a source, its outputs put in the order of the dataset's labels.

    Raises `ConversionError` for other labels than the dataset's, and where the model gives
    probabilities instead of logits.
    """
    if set(labels) != set(dataset.labels):
        raise ConversionError(
            f"{brought.path}: says {', '.join(labels)}; {dataset.name} is labelled "
            f"{', '.join(dataset.labels)}"
        )
    _require_logits(brought, dataset)
    ordered = brought.in_order([labels.index(label) for label in dataset.labels])
    return Source(
        name=brought.path.stem,
        label_set=label_set_of(labels),
        labels=dataset.labels,
        side=brought.side,
        evidence=_evidence(ordered, dataset),
        licences={"model": "as the maker of the model says"},
        logits=ordered.logits,
        makers=ordered.makers(pictures),
    )


def _evidence(brought: Brought, dataset: Dataset) -> Evidence:
    content = brought.onnx()
    digest = hashlib.sha256(_bytes(brought.path)).hexdigest()
    return Evidence(
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        recipe_name="none",
        recipe={"architecture": brought.architecture, "side": brought.side},
        seed=0,
        parameters=parameters(content),
        macs=macs(content),
        minutes=0.0,
        machine=machine(),
        versions=versions(),
        scores={},
        origin=f"{brought.path.name}, sha256 {digest}",
        quantization=AFTER_TRAINING,
    )


def _require_logits(brought: Brought, dataset: Dataset) -> None:
    """Refuse probabilities: a softmax is taken off where it is the last layer, and only there."""
    logits = brought.logits(dataset.faces.images[:16])
    if (logits >= 0).all() and np.allclose(logits.sum(-1), 1, atol=1e-3):
        raise ConversionError(
            f"{brought.path}: gives probabilities, and not by a last softmax layer that could be "
            "taken off; save it with logits as its outputs"
        )


def _bytes(path: Path) -> bytes:
    """The bytes of a file, or of all files in a folder in order."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return b"".join(file.read_bytes() for file in files)
