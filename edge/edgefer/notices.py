"""What is said, and not raised, when a part falls back to another."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class EdgeferWarning(UserWarning):
    """Base of every warning that edgefer gives on purpose."""


class Fallback(EdgeferWarning):
    """Something wanted is not there; the text names what takes its place."""


@contextmanager
def shown_plainly() -> Iterator[None]:
    """Let warnings of ours reach a person as one line of text, without file and code."""
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, EdgeferWarning):
            print(f"edgefer: {message}", file=file or sys.stderr)
        else:
            usual(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
