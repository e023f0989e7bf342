"""Comparison of several models.

Runs are chosen on PublicTest: scores on PrivateTest are shown only where a bundle's manifest
already holds them, or where data is given to measure them now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal

import msgspec
import numpy as np
from rich.table import Table
from rich.text import Text

from edgefer.inspection import share
from edgefer.machine import machine
from edgefer.metrics import PairedTest, Scores, mcnemar
from edgefer.terminal import Terminal, styled
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.candidate import (
    BundleCandidate,
    Candidate,
    Facts,
    Fit,
    require_format,
)
from edgefer_train.evaluation.evaluate import measure

NAMES, COLUMN = 18, 19
"""Characters for the names of the figures, and for one model."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a comparison."""

    model: Facts
    bytes: int | None
    """Of the int8 file; None for a run, which has none yet."""
    fits: tuple[Fit, ...]
    format: str | None
    """That `scores` are of; None without scores on PrivateTest."""
    scores: Scores | None
    float_accuracy: float | None
    """Of the float model on the same images."""
    source: Literal["manifest", "measured"] | None
    """Where the scores come from."""
    against_first: PairedTest | None
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
    by image, where both classified the same ones. Raises as `evaluate` does.
    """
    rows = _measured(candidates, load) if load else tuple(map(_row, candidates))
    return Comparison(1, date.today().isoformat(), machine(), rows)


def _row(candidate: Candidate) -> Row:
    """A row without new measurements."""
    scores = candidate.scores if isinstance(candidate, BundleCandidate) else {}
    format = "int8" if "int8" in scores else next(iter(scores), None)
    return Row(
        model=candidate.facts,
        bytes=candidate.bytes("int8"),
        fits=tuple(fitted.result for fitted in candidate.fits),
        format=format,
        scores=scores[format] if format else None,
        float_accuracy=scores["float"].accuracy if "float" in scores else None,
        source="manifest" if format else None,
        against_first=None,
    )


def _measured(candidates: Sequence[Candidate], load: Load) -> tuple[Row, ...]:
    rows: list[Row] = []
    first: tuple[object, np.ndarray] | None = None
    for candidate in candidates:
        format, facts = require_format(candidate, None), candidate.facts
        dataset = load(facts)
        done, labels = measure(candidate, format, dataset), dataset.part(Usage.PrivateTest).labels
        right = done.logits.argmax(-1) == labels
        # Not the images themselves: models of other sides see them in other sizes.
        faces = (facts.labels, facts.split, labels.tobytes())
        paired = mcnemar(first[1], right) if first and first[0] == faces else None
        row = msgspec.structs.replace(
            _row(candidate),
            format=format,
            scores=done.scores,
            float_accuracy=float((done.reference.argmax(-1) == labels).mean()),
            source="measured",
            against_first=paired,
        )
        rows.append(row)
        first = first or (faces, right)
    return tuple(rows)


def show_comparison(comparison: Comparison) -> None:
    """Print a column for each model, in as many tables as the width asks for."""
    console, rows = Terminal(), comparison.rows
    at_once = max(1, (console.width - NAMES) // COLUMN)
    for at in range(0, len(rows), at_once):
        console.print(_columns(rows[at : at + at_once]))
    if any(row.against_first for row in rows):
        console.print(
            f"against first: images that only this model got right, and that only "
            f"{rows[0].model.name} did; p is McNemar's, exact.",
            style="dim",
        )
    if not all(row.scores for row in rows):
        console.print(
            "Runs are chosen on PublicTest; --data measures all on PrivateTest.", style="dim"
        )


def _columns(rows: Sequence[Row]) -> Table:
    table = Table()
    table.add_column("", min_width=NAMES - 4)
    for row in rows:
        table.add_column(row.model.name, justify="right", overflow="fold")
    table.add_row("kind", *(row.model.kind for row in rows))
    table.add_row("architecture", *(row.model.architecture for row in rows))
    table.add_row("labels", *(row.model.label_set for row in rows))
    table.add_row("parameters", *(f"{row.model.parameters:,}" for row in rows))
    table.add_row("MMAC", *(f"{row.model.macs / 1e6:.1f}" for row in rows))
    table.add_row("int8 bytes", *(f"{row.bytes:,}" if row.bytes else "-" for row in rows))
    table.add_row("minutes", *(f"{row.model.minutes:.0f}" for row in rows), end_section=True)
    for stage in ("float", "qat"):
        if any(fit.stage == stage for row in rows for fit in row.fits):
            fits = ([fit for fit in row.fits if fit.stage == stage] for row in rows)
            table.add_row(f"PublicTest, {stage}", *(_fit_cell(*one) for one in fits))
    table.add_section()
    if any(row.scores for row in rows):
        _add_scores(table, rows)
    return table


def _fit_cell(fit: Fit | None = None) -> str | Text:
    if fit is None:
        return "-"
    best = "-" if fit.public_accuracy is None else f"{fit.public_accuracy:.2%}"
    if fit.public_agreement is not None:
        best += f"\nas float {fit.public_agreement:.2%}"
    epochs = "" if fit.best_epoch is None else f"epoch {fit.best_epoch} of "
    return styled(f"{best}\n", (f"{epochs}{fit.epochs}/{fit.planned}", "dim"))


def _add_scores(table: Table, rows: Sequence[Row]) -> None:
    scores = [row.scores for row in rows]
    table.add_row("PrivateTest", *map(_source_cell, rows))
    table.add_row("  accuracy", *map(_accuracy_cell, scores))
    table.add_row("  leak-free", *map(_leak_free, scores))
    table.add_row("  macro-F1", *(f"{one.macro_f1:.3f}" if one else "-" for one in scores))
    errors = (f"{one.calibration_error:.3f}" if one else "-" for one in scores)
    table.add_row("  calibration err.", *errors)
    floats = (row.float_accuracy for row in rows)
    table.add_row("  float's accuracy", *("-" if one is None else f"{one:.2%}" for one in floats))
    if any(row.against_first for row in rows):
        table.add_row("  against first", *(_against(row.against_first) for row in rows))


def _source_cell(row: Row) -> str:
    """Which format the scores are of, and where they are from."""
    if row.scores is None:
        return "not measured"
    return f"{row.format}, {row.source}"


def _accuracy_cell(scores: Scores | None) -> str | Text:
    if scores is None:
        return "-"
    return styled(share(scores.accuracy, scores.bounds), (f"\nn = {scores.n:,}", "dim"))


def _leak_free(scores: Scores | None) -> str | Text:
    if scores is None or not scores.n_leak_free:
        return "-"
    leak_free = share(scores.accuracy_leak_free, scores.bounds_leak_free)
    return styled(leak_free, (f"\nn = {scores.n_leak_free:,}", "dim"))


def _against(paired: PairedTest | None) -> str | Text:
    if paired is None:
        return "-"
    p = "p < 0.001" if paired.p_value < 0.001 else f"p = {paired.p_value:.3f}"
    return styled(f"+{paired.only_second} -{paired.only_first}\n", (p, "dim"))
