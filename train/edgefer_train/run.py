"""The folder of a training: its record, the files of its stages, and how to resume."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import platform
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from edgefer.bundle import is_shipped
from edgefer.errors import DatasetError, RunError
from edgefer.files import write_atomic
from edgefer.labels import FOLDERS
from edgefer_train.data.dataset import Dataset
from edgefer_train.recipe import Recipe

PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")

T = TypeVar("T")
XlaTrial = Callable[[str, int, int], bool]
"""From an architecture, the images' side and the batch size to whether XLA is faster."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`run.json`: everything that decides the training."""

    recipe_name: str
    recipe: Recipe
    heads: dict[str, tuple[str, ...]]
    """Labels of each head."""
    dataset: str
    fingerprint: str
    """sha256 of the dataset."""
    parameters: int
    macs: int
    versions: dict[str, str]
    machine: str
    xla: bool | None = None
    """Whether XLA was faster in a trial; None before one was worth its time."""


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a fit ended, by head on PublicTest, which chose the epoch; never on PrivateTest."""

    accuracy: dict[str, float]
    """Share of the images that one label has most of the target of."""
    temperature: dict[str, float]
    """Of least log-loss (Guo et al. 2017)."""
    calibration_error: dict[str, float]
    """At that temperature."""


class Stage:
    """One fit of a run, `float` or `qat`: its model, its curves and its checkpoint."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.weights = folder / f"{name}.weights.h5"
        """The moving average of the epoch that did best on PublicTest."""
        self.model = folder / f"{name}.h5"
        """The same as a whole model; written when the fit is done."""
        self.history = folder / f"{name}.csv"
        self.checkpoint = folder / f"{name}.checkpoint"
        self.tensorboard = folder / "tensorboard" / name
        self.outcome_file = folder / f"{name}.json"

    def minutes(self) -> float:
        """Wall time of all epochs so far, those before a resume included."""
        return sum(float(row["seconds"]) for row in self.rows()) / 60

    def outcome(self) -> Outcome | None:
        """Return how the finished fit ended, or None; raise `RunError` for a damaged file."""
        return _read(self.outcome_file, Outcome) if self.outcome_file.exists() else None

    def write_outcome(self, outcome: Outcome) -> None:
        """Write how the fit ended."""
        write_atomic(self.outcome_file, msgspec.json.format(msgspec.json.encode(outcome)))

    def rows(self) -> list[dict[str, str]]:
        """Return one dict of figures an epoch."""
        if not self.history.exists():
            return []
        with self.history.open(newline="") as file:
            return list(csv.DictReader(file))

    def add_row(self, row: dict[str, object]) -> None:
        """Log an epoch; rows of epochs repeated after a kill are dropped first."""
        epoch = int(str(row["epoch"]))
        rows = [old for old in self.rows() if int(old["epoch"]) < epoch]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(row))
        writer.writeheader()
        writer.writerows([*rows, row])
        write_atomic(self.history, text.getvalue().encode())


class Run:
    """Paths and records of a run's folder: run.json and the two stages' files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_file = folder / "run.json"
        self.head = Stage(folder, "head")
        self.float = Stage(folder, "float")
        self.qat = Stage(folder, "qat")

    def start(self, record: Record, resume: bool) -> None:
        """Claim the folder; raise `RunError` where that would lose or mix a training.

        A resumed one may have more epochs than before, and other limits of the gate.
        """
        if self.record_file.exists():
            if not resume:
                raise RunError(
                    f"{self.folder}: already holds a training; add --resume to continue it"
                )
            before = self.record()
            self._require_same(before, record)
            record = replace(record, xla=record.xla if before.xla is None else before.xla)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(record)

    def _write(self, record: Record) -> None:
        write_atomic(self.record_file, msgspec.json.format(msgspec.json.encode(record)))

    def keeping(self, trial: XlaTrial) -> XlaTrial:
        """Return a trial of XLA whose answer all stages and resumes of the run share."""

        def kept(architecture: str, side: int, batch_size: int) -> bool:
            record = self.record()
            if record.xla is None:
                record = replace(record, xla=trial(architecture, side, batch_size))
                self._write(record)
            return record.xla is True

        return kept

    def _require_same(self, before: Record, now: Record) -> None:
        fit = replace(before.recipe.fit, epochs=now.recipe.fit.epochs)
        same_recipe = replace(before.recipe, fit=fit, gate=now.recipe.gate) == now.recipe
        if not same_recipe or before.fingerprint != now.fingerprint:
            what = "dataset" if same_recipe else "recipe"
            raise RunError(f"{self.folder}: was trained with another {what}; choose another --out")
        done = len(self.float.rows())
        if now.recipe.fit.epochs < done:
            raise RunError(
                f"{self.folder}: has {done} epochs already, expected at least as many, "
                f"got {now.recipe.fit.epochs}; leave --epochs out"
            )

    def record(self) -> Record:
        """Read run.json; raise `RunError` when there is none."""
        if not self.record_file.exists():
            raise RunError(f"{self.folder}: no training here; run: edgefer train")
        return _read(self.record_file, Record)

    def record_if_any(self) -> Record | None:
        """Read run.json; None when there is none."""
        return self.record() if self.record_file.exists() else None

    def model(self, stage: Stage) -> Path:
        """Return a stage's finished model; raise `RunError` naming the verb that makes it."""
        if not stage.model.is_file():
            verb = "train" if stage.name == "float" else "quantize"
            raise RunError(
                f"{self.folder}: has no finished {stage.name} model; run: edgefer {verb}"
            )
        return stage.model

    def require_data(self, dataset: Dataset) -> None:
        """Raise `DatasetError` unless these are the faces that the run was trained on."""
        record = self.record()
        labels = record.heads.get(FOLDERS, dataset.labels)
        if (dataset.fingerprint, dataset.labels) != (record.fingerprint, labels):
            raise DatasetError(
                f"{dataset.name}: not the images that {self.folder} was trained on, or not by "
                "their labels; name the same dataset with --data"
            )

    def minutes(self) -> float:
        """Wall time of all stages."""
        return sum(stage.minutes() for stage in (self.head, self.float, self.qat))


def run_at(name: str) -> Run | None:
    """Return the run in a folder, or None: a shipped model's name is never a folder."""
    run = Run(Path(name))
    return run if run.record_file.is_file() and not is_shipped(name) else None


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RunError(f"{path}: {exc}") from exc


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a training."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def save_model(model: Any, path: Path) -> None:
    """Write a Keras model whole or not at all, as HDF5: the form that tfmot is tested with."""
    with warnings.catch_warnings():
        # Keras would rather have its newer form.
        warnings.simplefilter("ignore", UserWarning)
        _save(path, lambda saved: model.save(saved, include_optimizer=False, save_format="h5"))


def save_weights(model: Any, path: Path) -> None:
    """Write a Keras model's weights whole or not at all, as HDF5."""
    _save(path, model.save_weights)


def _save(path: Path, save: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / path.name)
        write_atomic(path, (Path(folder) / path.name).read_bytes())
