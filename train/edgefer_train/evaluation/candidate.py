"""Candidates for an evaluation: model bundles, and runs that have not become one yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from edgefer.bundle import Bundle, is_shipped, open_bundle
from edgefer.errors import BundleMissing, RunError, SettingsError
from edgefer.heads import Decoder
from edgefer.labels import BOTH
from edgefer.manifest import MANIFEST
from edgefer.metrics import Logits, Scores
from edgefer.preprocess import Pixels
from edgefer.runtime import RUNTIMES, Classifier, open_classifier
from edgefer_train.run import Run, Stage, run_at

RECORD = "run.json"

FLOAT = ("onnx", "keras", "float16")
"""The formats of a bundle that can stand for its float model, the exact ones first."""


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Result of one fit of a run on PublicTest."""

    stage: str
    epochs: int
    """Done."""
    planned: int
    best_epoch: int | None
    """From 1."""
    public_accuracy: float | None
    """Of the best epoch."""
    public_agreement: float | None = None
    """Share of PublicTest that has float's label, where that chose the epoch."""


class Fitted:
    """The curve of one fit of a run, finished or not.

    A fit that learns what the float model predicts is followed by its agreement with that: its
    accuracy is known when it has ended.
    """

    def __init__(self, stage: Stage, head: str, planned: int, followed: str) -> None:
        rows, self.stage = stage.rows(), stage
        # In runs of before agreement was written as accuracy.
        names = [f"val_{head}_{followed}", f"val_{followed}", f"val_{head}_accuracy"]
        name = next((name for name in names if name in rows[0]), "val_accuracy")
        curve = tuple(float(row[name]) for row in rows if name in row)
        best = max(curve, default=None)
        epoch = None if best is None else curve.index(best) + 1
        self.public = curve if followed == "accuracy" else ()
        """Accuracy on PublicTest after each epoch; empty where it was not followed."""
        result = Fit(stage.name, len(rows), planned, epoch, best)
        if followed == "agreement":
            outcome = stage.outcome()
            accuracy = outcome.accuracy.get(head) if outcome else None
            result = replace(result, public_accuracy=accuracy, public_agreement=best)
        self.result = result


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts of a model that need no measurement."""

    name: str
    kind: Literal["bundle", "run"]
    path: str
    """As it was named: a path, or a shipped bundle's name."""
    label_set: str
    """`both` for two heads together."""
    labels: tuple[str, ...]
    architecture: str
    recipe_name: str
    split: str
    """Of the dataset, as the recipe names it."""
    side: int
    """Of the model's input, pixels."""
    seed: int
    parameters: int
    macs: int
    minutes: float
    """Wall time of the training."""
    machine: str
    """That it was trained on."""
    dataset: str
    fingerprint: str
    """sha256 of the dataset that it was trained on."""

    @property
    def expected(self) -> str:
        """Label set of the data that it is measured on: both heads have the first one's labels."""
        return "fer2013" if self.label_set == BOTH else self.label_set


class Decoded:
    """A classifier of one label set, made of one of all heads."""

    def __init__(self, classifier: Classifier, decoder: Decoder) -> None:
        self._classifier, self._decoder = classifier, decoder

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels) of face crops uint8 (N, size, size)."""
        return self._decoder.logits(self._classifier.logits(crops))


class Candidate(ABC):
    """A model that can be measured, in one or several formats."""

    facts: Facts
    formats: tuple[str, ...]
    """The first is the default; none where nothing is finished."""
    reference: str
    """The float format, with which agreement is measured."""
    fits: tuple[Fitted, ...] = ()
    """The fits whose curves are known."""

    @abstractmethod
    def classifier(self, format: str) -> Classifier:
        """Open the model in one of its formats."""

    @abstractmethod
    def temperature(self, format: str) -> float | None:
        """Return what logits are divided by to become probabilities; None if not yet found."""

    def bytes(self, format: str) -> int | None:
        """Return the size of a format's file; None for Keras, which no device carries."""
        return None


class BundleCandidate(Candidate):
    """A model bundle, measured by the runtimes that will run it."""

    def __init__(self, bundle: Bundle, name: str, labels: str | None = None) -> None:
        self.bundle, manifest = bundle, bundle.manifest
        decoder = manifest.decoder(labels or manifest.label_sets[0])
        # A file that has not what the labels are read from is none of the formats.
        self.formats = tuple(
            format
            for format in RUNTIMES
            if format in manifest.files and manifest.predicts(decoder.label_set, format)
        )
        self.reference = next((format for format in FLOAT if format in self.formats), "int8")
        evidence, recipe = manifest.evidence, manifest.evidence.recipe
        self.facts = Facts(
            name=manifest.name,
            kind="bundle",
            path=name,
            label_set=decoder.label_set,
            labels=decoder.labels,
            architecture=str(recipe.get("architecture", "?")),
            recipe_name=evidence.recipe_name,
            split=str(recipe.get("split", "official")),
            side=manifest.input.shape[0],
            seed=evidence.seed,
            parameters=evidence.parameters,
            macs=evidence.macs,
            minutes=evidence.minutes,
            machine=evidence.machine,
            dataset=evidence.dataset,
            fingerprint=evidence.fingerprint,
        )

    def classifier(self, format: str) -> Classifier:
        """Open a format in the runtime that a device runs it with, its logits decoded."""
        decoder = self.bundle.manifest.decoder(self.facts.label_set, format)
        return Decoded(open_classifier(self.bundle, format), decoder)

    @property
    def scores(self) -> dict[str, Scores]:
        """The manifest's, by format."""
        return self.bundle.manifest.calibrations[self.facts.label_set].scores

    def temperature(self, format: str) -> float | None:
        """Return the manifest's, which holds for every format."""
        return self.bundle.manifest.calibrations[self.facts.label_set].temperature

    def bytes(self, format: str) -> int | None:
        """Return the size of a format's file."""
        file = self.bundle.manifest.files.get(format)
        return file.bytes if file else None


class RunCandidate(Candidate):
    """A run, measured by its Keras models: `qat` rounds as int8 will, `float` does not."""

    reference = "float"

    def __init__(self, run: Run, labels: str | None = None) -> None:
        self.run, record = run, run.record()
        recipe, head = record.recipe, labels or record.recipe.labels
        if head not in record.heads:
            known = ", ".join(record.heads)
            raise SettingsError(f"{run.folder}: has no labels '{head}'; it has: {known}")
        self.stages = {"qat": run.qat, "float": run.float}
        self.formats = tuple(name for name, one in self.stages.items() if one.model.is_file())
        planned = (
            (run.float, recipe.fit.epochs, "accuracy"),
            (run.qat, recipe.quantize.epochs, recipe.quantize.followed),
        )
        self.fits = tuple(
            Fitted(stage, head, epochs, followed)
            for stage, epochs, followed in planned
            if stage.rows()
        )
        self.facts = Facts(
            name=run.folder.resolve().name,
            kind="run",
            path=str(run.folder),
            label_set=head,
            labels=record.heads[head],
            architecture=recipe.architecture,
            recipe_name=record.recipe_name,
            split=recipe.split,
            side=recipe.side,
            seed=recipe.seed,
            parameters=record.parameters,
            macs=record.macs,
            minutes=round(run.minutes(), 1),
            machine=record.machine,
            dataset=record.dataset,
            fingerprint=record.fingerprint,
        )

    def classifier(self, format: str) -> Classifier:
        """Open the Keras model of the stage of this name."""
        from edgefer_train.evaluation.keras_classifier import KerasClassifier

        return KerasClassifier(self.run.model(self.stages[format]), self.facts.label_set)

    def temperature(self, format: str) -> float | None:
        """Return the stage's, fitted on PublicTest when it ended."""
        outcome = self.stages[format].outcome()
        return outcome.temperature.get(self.facts.label_set) if outcome else None


def open_candidate(name: str, labels: str | None = None) -> Candidate:
    """Open a model bundle by its path or shipped name, or a run by its folder.

    `labels` chooses one of the heads, or of a bundle both; the first unless named. Raises
    `BundleError`, `RunError`, or `SettingsError` for labels that the model does not have.
    """
    path, run = Path(name), run_at(name)
    if run is not None:
        return RunCandidate(run, labels)
    if path.is_dir() and not (path / MANIFEST).is_file() and not is_shipped(name):
        raise BundleMissing(
            f"{path}: neither a run ({RECORD}) nor a model bundle ({MANIFEST})", path
        )
    return BundleCandidate(open_bundle(name), name, labels)


def require_format(candidate: Candidate, format: str | None) -> str:
    """Return the format, or the candidate's first; raise `SettingsError` when it has it not."""
    facts = candidate.facts
    if not candidate.formats:
        raise RunError(f"{facts.path}: has no finished model; run: edgefer train --resume")
    if format is not None and format not in candidate.formats:
        has = ", ".join(candidate.formats)
        raise SettingsError(f"{facts.path}: has no format '{format}'; this {facts.kind} has: {has}")
    return format or candidate.formats[0]
