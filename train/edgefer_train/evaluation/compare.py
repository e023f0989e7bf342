"""Several models side by side.

To choose among runs, PublicTest is what counts: PrivateTest shows only where it was looked
at already, in a bundle's manifest, or where that is asked for now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal

import msgspec
import numpy as np

from edgefer.machine import machine
from edgefer.metrics import Paired, Scores, mcnemar
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.candidate import (
    BundleCandidate,
    Candidate,
    Facts,
    Fitted,
    require_format,
)
from edgefer_train.evaluation.evaluate import Measured, measure


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one fit of a run went on PublicTest."""

    stage: str
    epochs: int
    """Done."""
    planned: int
    best_epoch: int | None
    public_accuracy: float | None
    """Of the best epoch."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a comparison."""

    model: Facts
    bytes: int | None
    """Of the int8 file; None for a run, which has none yet."""
    fits: tuple[Fit, ...]
    format: str | None
    """That `scores` are of; None where PrivateTest was not looked at."""
    scores: Scores | None
    float_accuracy: float | None
    """Of the float model on the same images."""
    source: Literal["manifest", "measured"] | None
    """Where the scores come from."""
    against_first: Paired | None
    """None for the first, without new measurements, or where the images differ."""


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`comparison.json`."""

    edgefer_comparison: Literal[1]
    """Version of this form; it also marks a folder as a comparison of ours."""
    day: str
    """As 2026-01-31."""
    machine: str
    rows: tuple[Row, ...]
    files: tuple[str, ...] = ()
    """All that lies beside `comparison.json` in its folder."""


Load = Callable[[Facts], Dataset]
"""Gives the faces that a model is measured on."""


def compare(candidates: Sequence[Candidate], load: Load | None = None) -> Comparison:
    """Set candidates side by side; measure them on PrivateTest only where data is given.

    Each is measured as int8 (a run: as qat, else float) and tested against the first, image
    by image, where both answered the same ones. Raises as `evaluate` does.
    """
    rows = _measured(candidates, load) if load else tuple(map(_told, candidates))
    return Comparison(1, date.today().isoformat(), machine(), rows)


def _told(candidate: Candidate) -> Row:
    """What is known without a look at PrivateTest."""
    scores = (
        candidate.bundle.manifest.evidence.scores if isinstance(candidate, BundleCandidate) else {}
    )
    format = "int8" if "int8" in scores else next(iter(scores), None)
    return Row(
        model=candidate.facts,
        bytes=candidate.bytes("int8"),
        fits=tuple(map(_fit, candidate.fits)),
        format=format,
        scores=scores[format] if format else None,
        float_accuracy=scores["float"].accuracy if "float" in scores else None,
        source="manifest" if format else None,
        against_first=None,
    )


def _fit(fitted: Fitted) -> Fit:
    best = fitted.best
    return Fit(
        stage=fitted.stage.name,
        epochs=len(fitted.stage.rows()),
        planned=fitted.planned,
        best_epoch=best,
        public_accuracy=fitted.public[best - 1] if best else None,
    )


def _measured(candidates: Sequence[Candidate], load: Load) -> tuple[Row, ...]:
    rows: list[Row] = []
    first: _Answers | None = None
    for candidate in candidates:
        format = require_format(candidate, None)
        dataset = load(candidate.facts)
        done = measure(candidate, format, dataset)
        answers = _Answers(done, candidate.facts, dataset.part(Usage.PrivateTest).labels)
        row = msgspec.structs.replace(
            _told(candidate),
            format=format,
            scores=done.scores,
            float_accuracy=float((done.reference.argmax(-1) == answers.labels).mean()),
            source="measured",
            against_first=first.against(answers) if first else None,
        )
        rows.append(row)
        first = first or answers
    return tuple(rows)


class _Answers:
    """Which images of PrivateTest a model got right."""

    def __init__(self, done: Measured, facts: Facts, labels: np.ndarray) -> None:
        self.labels = labels
        self.right = done.logits.argmax(-1) == labels
        # Not the images themselves: models of other sides see them in other sizes.
        self.of = (facts.labels, facts.split, labels.tobytes())

    def against(self, other: _Answers) -> Paired | None:
        """McNemar's test, where both answered the same images."""
        return mcnemar(self.right, other.right) if self.of == other.of else None
