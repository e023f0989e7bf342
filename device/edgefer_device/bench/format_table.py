"""The formats of a bundle compared: bytes, accuracy and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec.structs import replace

from edgefer.bundle import Bundle
from edgefer.console import track
from edgefer.errors import MissingExtra
from edgefer.machine import machine
from edgefer.metrics import Scores
from edgefer.runtime import ACCELERATORS, RUNTIMES, open_classifier
from edgefer.terminal import Terminal
from edgefer_device.bench.benchmarks import time_classifier
from edgefer_device.bench.loops import LOOPS, Plan
from edgefer_device.bench.view import numbers_table

NONE = "not measured"


class Row(msgspec.Struct, frozen=True):
    """One format; accuracies are None where PrivateTest was not measured by it."""

    format: str
    bytes: int
    milliseconds: float | None
    """Of one face, one thread, the median; None where its runtime is not installed."""
    accuracy: float | None = None
    drop: float | None = None
    """Of the accuracy from float, 0..1; below 0 where the format does better."""
    worst_class: str = ""
    worst_drop: float | None = None
    """Of the recall of the class that loses most."""
    agreement: float | None = None
    """Share of the images with the same label as float."""
    calibration_error: float | None = None


class Comparison(msgspec.Struct, frozen=True):
    """All formats of one bundle."""

    bundle: str
    """Its name, and the label set of the accuracies."""
    machine: str
    """On which the times were taken; the rest is the bundle's own evidence."""
    images: int
    """Of PrivateTest."""
    rows: tuple[Row, ...]


def compare(bundle: Bundle, seconds: float, labels: str | None = None) -> Comparison:
    """Collect a bundle's evidence and time each format for so many seconds.

    `labels` is a label set of the model, by default its first head's, or `both`.
    """
    manifest = bundle.manifest
    decoder = manifest.decoder(labels or manifest.label_sets[0])
    evidence = decoder.calibration.scores
    formats = [name for name in (*RUNTIMES, *ACCELERATORS) if name in manifest.files]
    rows = tuple(_row(bundle, format, seconds, evidence) for format in track(formats, "formats"))
    images = next((one.n for one in evidence.values()), 0)
    return Comparison(f"{manifest.name}, {decoder.label_set}", machine(), images, rows)


def _row(bundle: Bundle, format: str, seconds: float, evidence: Mapping[str, Scores]) -> Row:
    row = Row(format, bundle.manifest.files[format].bytes, _time(bundle, format, seconds))
    scores, reference = evidence.get(format), evidence.get("float")
    if scores is None or reference is None:
        return row
    drops = {
        label: one.recall - scores.per_class[label].recall
        for label, one in reference.per_class.items()
    }
    worst = max(drops, key=drops.__getitem__)
    return replace(
        row,
        accuracy=scores.accuracy,
        drop=reference.accuracy - scores.accuracy,
        worst_class=worst,
        worst_drop=drops[worst],
        agreement=scores.agreement_with_float,
        calibration_error=scores.calibration_error,
    )


def _time(bundle: Bundle, format: str, seconds: float) -> float | None:
    """Return the median time of a face, milliseconds; None without the format's runtime."""
    if format not in RUNTIMES:
        return None
    try:
        classifier = open_classifier(bundle, format)
    except MissingExtra:
        return None
    size, plan = bundle.manifest.input.preprocess.size, Plan(seconds / LOOPS, short=True)
    return time_classifier(classifier, size, plan).p50


HEADINGS = (
    "format", "bytes", "accuracy", "drop, points", "worst class, points", "same label as float",
    "ECE", "one face, ms",
)  # fmt: skip

NARROW = ("bytes", "acc.", "drop", "worst class", "= float", "ECE", "ms")
CAPTION = (
    "acc.: accuracy; drop: points of it that float has more, worst class: of its recall; = float: "
    "same label; ms: of one face"
)


def cells(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield the rows as text, under `HEADINGS`."""
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
    """Return a lost share in points, without a sign where nothing is lost."""
    return NONE if share is None else f"{round(100 * share, 2) + 0.0:.2f}"


def show_comparison(comparison: Comparison) -> None:
    """Print the table."""
    table = numbers_table(_title(comparison), CAPTION, NARROW, HEADINGS[0])
    for row in cells(comparison):
        table.add_row(*("-" if cell == NONE else cell.replace(" (", "\n(") for cell in row))
    Terminal().print(table)


def to_markdown(comparison: Comparison) -> str:
    """Return the table as Markdown, under its title."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *cells(comparison)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_title(comparison)}\n\n{table}\n"


def _title(comparison: Comparison) -> str:
    return (
        f"{comparison.bundle}: {comparison.images:,} images of PrivateTest; "
        f"times on {comparison.machine}, one thread"
    )
