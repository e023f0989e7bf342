"""CSV files with a header, read whole."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from edgefer.errors import DatasetError

Line = tuple[int, dict[str, str]]
"""The number of a line in its file, from 1, and its cells by column; a missing one is empty."""


def read_table(path: Path, columns: Sequence[str], where_to_get_it: str) -> list[Line]:
    """Return the lines after the header; raise `DatasetError` for a column that is missing."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, restval="")
            missing = sorted(set(columns) - set(table.fieldnames or ()))
            if missing:
                raise DatasetError(f"{path}: column '{missing[0]}' is missing; {where_to_get_it}")
            return [(table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise DatasetError(f"{path}: not a CSV file that can be read: {exc}") from exc
