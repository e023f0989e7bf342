"""A comparison shown to a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from edgefer.inspection import share
from edgefer.metrics import Paired, Scores
from edgefer_train.evaluation.compare import Comparison, Fit, Row

NAMES, COLUMN = 18, 19
"""Characters for the names of the figures, and for one model."""


def show_comparison(comparison: Comparison) -> None:
    """Print a column for each model, in as many tables as the width asks for."""
    console, rows = Console(), comparison.rows
    at_once = max(1, (console.width - NAMES) // COLUMN)
    for at in range(0, len(rows), at_once):
        console.print(_table(rows[at : at + at_once]))
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


def _table(rows: Sequence[Row]) -> Table:
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
            table.add_row(f"PublicTest, {stage}", *(_fit(*one) for one in fits))
    table.add_section()
    if any(row.scores for row in rows):
        _add_scores(table, rows)
    return table


def _fit(fit: Fit | None = None) -> str:
    if fit is None:
        return "-"
    best = "-" if fit.public_accuracy is None else f"{fit.public_accuracy:.2%}"
    epochs = "" if fit.best_epoch is None else f"epoch {fit.best_epoch} of "
    return f"{best}\n[dim]{epochs}{fit.epochs}/{fit.planned}[/dim]"


def _add_scores(table: Table, rows: Sequence[Row]) -> None:
    scores = [row.scores for row in rows]
    table.add_row("PrivateTest", *map(_measured, rows))
    table.add_row("  accuracy", *map(_accuracy, scores))
    table.add_row("  leak-free", *map(_leak_free, scores))
    table.add_row("  macro-F1", *(f"{one.macro_f1:.3f}" if one else "-" for one in scores))
    errors = (f"{one.calibration_error:.3f}" if one else "-" for one in scores)
    table.add_row("  calibration err.", *errors)
    floats = (row.float_accuracy for row in rows)
    table.add_row("  float's accuracy", *("-" if one is None else f"{one:.2%}" for one in floats))
    if any(row.against_first for row in rows):
        table.add_row("  against first", *(_against(row.against_first) for row in rows))


def _measured(row: Row) -> str:
    """Which format the scores are of, and where they are from."""
    if row.scores is None:
        return "not looked at"
    return f"{row.format}, {row.source}"


def _accuracy(scores: Scores | None) -> str:
    if scores is None:
        return "-"
    return f"{share(scores.accuracy, scores.bounds)}\n[dim]n = {scores.n:,}[/dim]"


def _leak_free(scores: Scores | None) -> str:
    if scores is None or not scores.n_leak_free:
        return "-"
    told = share(scores.accuracy_leak_free, scores.bounds_leak_free)
    return f"{told}\n[dim]n = {scores.n_leak_free:,}[/dim]"


def _against(paired: Paired | None) -> str:
    if paired is None:
        return "-"
    p = "p < 0.001" if paired.p_value < 0.001 else f"p = {paired.p_value:.3f}"
    return f"+{paired.only_second} -{paired.only_first}\n[dim]{p}[/dim]"
