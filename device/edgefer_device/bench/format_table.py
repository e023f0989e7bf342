"""What each format of a bundle costs and is worth, side by side: evidence, bytes and time."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.table import Table

from edgefer.bundle import Bundle
from edgefer.console import track
from edgefer.errors import MissingExtra
from edgefer.machine import machine
from edgefer.manifest import Evidence
from edgefer.metrics import Scores
from edgefer.runtime import ACCELERATORS, RUNTIMES, open_classifier
from edgefer_device.bench.benchmarks import time_classifier
from edgefer_device.bench.loops import LOOPS, Plan

NONE = "not measured"


class Row(msgspec.Struct, frozen=True):
    """One format. What was measured on PrivateTest is None where no runtime here opens it."""

    format: str
    bytes: int
    accuracy: float | None
    drop: float | None
    """Of the accuracy against float, 0..1; below 0 where the format does better."""
    worst_class: str
    worst_drop: float | None
    """Of the recall of the class that loses most."""
    agreement: float | None
    """Share of the images with the same label as float."""
    calibration_error: float | None
    milliseconds: float | None
    """Of one face, one thread, the median; None where its runtime is not installed."""


class Comparison(msgspec.Struct, frozen=True):
    """All formats of one bundle."""

    bundle: str
    """Its name."""
    machine: str
    """On which the times were taken; the rest is the bundle's own evidence."""
    images: int
    """Of PrivateTest."""
    rows: tuple[Row, ...]


def compare(bundle: Bundle, seconds: float) -> Comparison:
    """Put a bundle's evidence together and time each format for so many seconds."""
    manifest = bundle.manifest
    kept = [name for name in (*RUNTIMES, *ACCELERATORS) if name in manifest.files]
    times = {format: _timed(bundle, format, seconds) for format in track(kept, "formats")}
    rows = tuple(
        _row(format, manifest.files[format].bytes, manifest.evidence, times[format])
        for format in kept
    )
    images = next(iter(manifest.evidence.scores.values())).n
    return Comparison(manifest.name, machine(), images, rows)


def _timed(bundle: Bundle, format: str, seconds: float) -> float | None:
    if format not in RUNTIMES:
        return None
    try:
        classifier = open_classifier(bundle, format)
    except MissingExtra:
        return None
    size, plan = bundle.manifest.input.preprocess.size, Plan(seconds / LOOPS, short=True)
    return time_classifier(classifier, size, plan).p50


def _row(format: str, size: int, evidence: Evidence, milliseconds: float | None) -> Row:
    scores, reference = evidence.scores.get(format), evidence.scores["float"]
    if scores is None:
        return Row(format, size, None, None, "", None, None, None, milliseconds)
    label, worst = _worst(reference, scores)
    return Row(
        format=format,
        bytes=size,
        accuracy=scores.accuracy,
        drop=reference.accuracy - scores.accuracy,
        worst_class=label,
        worst_drop=worst,
        agreement=scores.agreement_with_float,
        calibration_error=scores.calibration_error,
        milliseconds=milliseconds,
    )


def _worst(before: Scores, after: Scores) -> tuple[str, float]:
    """The class whose recall loses most, and how much."""
    drops = {
        label: one.recall - after.per_class[label].recall for label, one in before.per_class.items()
    }
    return max(drops.items(), key=lambda drop: drop[1])


HEADINGS = (
    "format", "bytes", "accuracy", "drop, points", "worst class, points", "same label as float",
    "calibration error", "one face, ms",
)  # fmt: skip


def cells(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield the rows in words, under `HEADINGS`."""
    for row in comparison.rows:
        worst = _points(row.worst_drop)
        yield (
            row.format,
            f"{row.bytes:,}",
            _figure(row.accuracy, "{:.2%}"),
            _points(row.drop),
            f"{worst} ({row.worst_class})" if row.worst_drop else worst,
            _figure(row.agreement, "{:.2%}"),
            _figure(row.calibration_error, "{:.3f}"),
            _figure(row.milliseconds, "{:.2f}"),
        )


def _figure(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)


def _points(share: float | None) -> str:
    """A share that is lost in points; without a sign where nothing is."""
    return NONE if share is None else f"{round(100 * share, 2) + 0.0:.2f}"


def show_comparison(comparison: Comparison) -> None:
    """Print the table for a person at a terminal."""
    table = Table(*HEADINGS, title=_title(comparison))
    for row in cells(comparison):
        table.add_row(*row)
    Console().print(table)


def to_markdown(comparison: Comparison) -> str:
    """Return the table as Markdown, under the sentence that says what it was measured on."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *cells(comparison)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_title(comparison)}\n\n{table}\n"


def _title(comparison: Comparison) -> str:
    return (
        f"{comparison.bundle}: {comparison.images:,} images of PrivateTest; "
        f"times on {comparison.machine}, one thread"
    )
