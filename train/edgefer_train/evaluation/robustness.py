"""How much accuracy and calibration a model loses under corruptions, as a table and a plot."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from rich.table import Table

from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer.files import check_output
from edgefer.machine import machine
from edgefer.metrics import best_temperature, calibration_error, softmax
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier
from edgefer.terminal import Terminal
from edgefer.theme import Theme, as_png, percent_axis
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.candidate import Candidate, require_format
from edgefer_train.evaluation.corruptions import (
    CORRUPTIONS,
    STRENGTHS,
    corrupt,
    require_corruption,
)

CHUNK = 100
"""Faces that one call of a classifier is given."""
Part = Literal["PublicTest", "PrivateTest"]


class Corrupted(msgspec.Struct, frozen=True):
    """What a model does on faces of one kind and strength of corruption."""

    accuracy: float
    calibration_error: float
    """Expected calibration error in 15 bins, at the model's own temperature."""


class Robustness(msgspec.Struct, frozen=True):
    """One format of a model on the corrupted faces of one part of a dataset."""

    model: str
    format: str
    part: Part
    n: int
    seed: int
    """Of the corruptions."""
    machine: str
    clean: Corrupted
    corrupted: dict[str, tuple[Corrupted, ...]]
    """By kind, one for each strength from 1 to 5."""

    def drop(self, kind: str, strength: int) -> float:
        """Return the loss of accuracy against clean faces, 0..1."""
        return self.clean.accuracy - self.corrupted[kind][strength - 1].accuracy

    def mean_accuracy(self, kind: str) -> float:
        """Return the accuracy over all strengths of a kind."""
        return float(np.mean([one.accuracy for one in self.corrupted[kind]]))

    @property
    def mean(self) -> float:
        """The accuracy over all kinds and strengths."""
        return float(np.mean([self.mean_accuracy(kind) for kind in self.corrupted]))


@dataclass(frozen=True, slots=True)
class Suite:
    """Which corruptions a model is measured on, as the options of `edgefer evaluate` say."""

    corruptions: bool = True
    """Whether corrupted faces are asked for at all."""
    kinds: tuple[str, ...] = ()
    """Names in `CORRUPTIONS`; none are all."""
    part: Part = "PrivateTest"
    plot: Path | None = None
    """PNG file to draw."""
    seed: int = 0

    def require_alone(self, report: Path | None) -> None:
        """Raise `SettingsError` for options that only one of both evaluations has, and for a
        plot that cannot be written."""
        if self.corruptions and report is not None:
            raise SettingsError("--out is the report of clean faces; leave out --corruptions")
        if not self.corruptions and (self.kinds or self.plot or self.part != "PrivateTest"):
            raise SettingsError("--kind, --part and --plot belong to --corruptions; add it")
        if self.plot:
            check_output(self.plot, ".png")
        for kind in self.kinds:
            require_corruption(kind)


def measure_robustness(
    candidate: Candidate, dataset: Dataset, format: str | None = None, suite: Suite = Suite()
) -> Robustness:
    """Measure one format of a model on corrupted faces.

    Raises `SettingsError` for a format that the model has not and an unknown corruption.
    """
    format = require_format(candidate, format)
    faces, classifier = dataset.part(Usage[suite.part]), candidate.classifier(format)
    kinds = suite.kinds or tuple(CORRUPTIONS)
    temperature = candidate.temperature(format)
    if temperature is None:
        public = dataset.part(Usage.PublicTest)
        temperature = best_temperature(_logits(classifier, public.images), public.labels)

    def measured(images: Pixels) -> Corrupted:
        probabilities = softmax(_logits(classifier, images), temperature)
        right = probabilities.argmax(-1) == faces.labels
        return Corrupted(float(right.mean()), calibration_error(probabilities, faces.labels))

    steps = [(kind, strength) for kind in kinds for strength in STRENGTHS]
    found: dict[str, list[Corrupted]] = {kind: [] for kind in kinds}
    for kind, strength in track(steps, f"{candidate.facts.name}: corruptions, {format}"):
        found[kind].append(measured(corrupt(faces.images, kind, strength, suite.seed)))
    return Robustness(
        model=candidate.facts.name,
        format=format,
        part=suite.part,
        n=len(faces),
        seed=suite.seed,
        machine=machine(),
        clean=measured(faces.images),
        corrupted={kind: tuple(scores) for kind, scores in found.items()},
    )


def _logits(classifier: Classifier, images: Pixels) -> np.ndarray:
    starts = range(0, len(images), CHUNK)
    return np.concatenate([classifier.logits(images[at : at + CHUNK]) for at in starts])


def show_robustness(done: Robustness) -> None:
    """Print the accuracy at each strength, its mean, and the calibration error at the third."""
    table = Table("corruption", *map(str, STRENGTHS), "mean", "loss", "calibration error")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, scores in done.corrupted.items():
        mean = done.mean_accuracy(kind)
        table.add_row(
            kind.replace("_", " "),
            *(f"{100 * one.accuracy:.1f}" for one in scores),
            f"{100 * mean:.1f}",
            f"{100 * (done.clean.accuracy - mean):.1f}",
            f"{scores[2].calibration_error:.3f}",
        )
    console = Terminal()
    console.print(table)
    console.print(
        f"{done.model}, {done.format}: {done.n:,} faces of {done.part}, accuracy in percent by "
        f"strength: clean {100 * done.clean.accuracy:.2f} %, corrupted {100 * done.mean:.2f} %"
    )


def draw_robustness(done: Robustness, theme: Theme) -> bytes:
    """Draw accuracy against strength for each kind of corruption, as PNG."""
    about = f"{done.model}, {done.format}; {done.part}, n = {done.n:,}"
    columns = min(5, len(done.corrupted))
    rows = math.ceil(len(done.corrupted) / columns)
    figure = theme.figure(max(4.0, 2.5 * rows), "Robustness to corruptions", about)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    strengths = (0, *STRENGTHS)
    for panel, (kind, scores) in zip(panels, done.corrupted.items(), strict=False):
        values = [done.clean.accuracy, *(one.accuracy for one in scores)]
        panel.axhline(done.clean.accuracy, color=theme.soft, linewidth=1, linestyle=":")
        panel.plot(strengths, values, color=theme.series[0], linewidth=2, marker="o")
        panel.set_title(kind.replace("_", " "), fontsize=12)
        panel.set(ylim=(0, 1), xticks=strengths)
        panel.grid(alpha=0.6)
        percent_axis(panel, "y")
    for panel in panels[len(done.corrupted) :]:
        panel.set_visible(False)
    return as_png(figure)
