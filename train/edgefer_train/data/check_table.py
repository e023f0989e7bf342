"""The check of a dataset, shown on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from edgefer.terminal import Terminal, styled
from edgefer_train.data.check import Check
from edgefer_train.data.files import describe_skipped

LISTED = 20
"""Files that cannot be read, named before the rest is only counted."""

NOTHING, NOT_ASKED = styled(("0", "dim")), styled(("-", "dim"))


def show(check: Check) -> None:
    """Print images by label and part, what was found in them, and files to fix."""
    console = Terminal()
    console.print(styled((check.dataset, "bold"), f"  {check.where}"))
    console.print(
        f"{check.images:,} images, labels {check.label_set}, split {check.split}, "
        f"sha256 {check.fingerprint[:16]}…"
    )
    console.print(_labels(check))
    console.print(_findings(check))
    for line in _sentences(check):
        console.print(line, soft_wrap=True)
    for line in check.unreadable[:LISTED]:
        console.print(styled(("cannot be read", "red"), f"  {line}"), soft_wrap=True)
    if len(check.unreadable) > LISTED:
        console.print(f"and {len(check.unreadable) - LISTED:,} more; --json lists all")


def _labels(check: Check) -> Table:
    parts = list(check.parts.values())
    table = _table("label", check, "all")
    for label in check.labels:
        counts = [part.labels[label] for part in parts]
        table.add_row(label, *map(_number, [*counts, sum(counts)]))
    table.add_section()
    table.add_row("all", *(_number(part.images) for part in parts), _number(check.images))
    ratios = ["∞" if part.imbalance is None else f"{part.imbalance:.1f}" for part in parts]
    table.add_row("largest / smallest", *ratios, "")
    left_out = [part.left_out for part in parts]
    if any(left_out):
        table.add_row("left out: no majority", *map(_number, [*left_out, sum(left_out)]))
    return table


def _findings(check: Check) -> Table:
    table = _table("found", check)
    for name, field in (
        ("of one grey level, nearly", "constant"),
        ("identical to another of the same part", "repeated"),
        ("identical to one of Training", "copies"),
        ("nearly identical to one of Training", "near_copies"),
        ("no face, by FER+ majority", "no_face"),
        ("without FER+ votes", "without_votes"),
    ):
        found = [getattr(part, field) for part in check.parts.values()]
        if any(one is not None for one in found):
            table.add_row(name, *map(_count, found))
    return table


def _sentences(check: Check) -> list[str]:
    groups, private = len(check.conflicts), check.parts["PrivateTest"]
    sentences = [f"{text}." for text in [describe_skipped(check.skipped)] if text]
    if groups:
        sentences.append(f"Groups of identical images with different labels: {groups:,}.")
    if private.leaks:
        sentences.append(
            f"Copies in Training: {private.leaks:,} of PrivateTest's {private.images:,} "
            f"images; give the accuracy on the other {private.images - private.leaks:,} too."
        )
    return sentences


def _table(first: str, check: Check, *last: str) -> Table:
    table = Table(first)
    for name in (*check.parts, *last):
        table.add_column(name, justify="right")
    return table


def _count(found: Sequence[object] | None) -> str | Text:
    return NOT_ASKED if found is None else _number(len(found))


def _number(count: int) -> str | Text:
    return f"{count:,}" if count else NOTHING
