"""The one progress bar, on stderr so that results on stdout stay clean."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress_bar() -> Progress:
    """Return the bar that every long work shows."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def shown(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Yield the items behind a bar that goes away when they are done.

    Where nobody looks there is none: rich would leave an empty line in a log.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    with progress_bar() as bar:
        bar.live.transient = True
        yield from bar.track(items, description=description)
