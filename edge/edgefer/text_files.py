"""Text files that people write: UTF-8 with or without a byte order mark, any line ending."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edgefer.errors import DatasetError, SettingsError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Line = tuple[int, dict[str, str]]
"""The number of a line in its file, from 1, and its cells by column; a missing one is empty."""


def read_text(path: Path) -> str:
    """Return the text of a file; raise `SettingsError`."""
    return "".join(read_lines(path))


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file with their ends; raise `SettingsError`.

    No error shows what the file holds, which may be a password.
    """
    try:
        with path.open("rb") as file:
            yield from _decoded(file, str(path))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror or exc}") from None


def decode_text(content: bytes, source: str) -> str:
    """Return the text of a file's content; raise `SettingsError`, naming `source`."""
    return "".join(_decoded(io.BytesIO(content), source))


def read_table(path: Path, columns: Sequence[str], where_to_get_it: str) -> list[Line]:
    """Return the lines after the header of a CSV file, their cells by the names in `columns`.

    The header may spell those in any case and order, with spaces around them. Raises
    `DatasetError` for a column that is missing and for what is no CSV file.
    """
    table = csv.reader(read_lines(path), skipinitialspace=True)
    try:
        header = [name.strip().lower() for name in next(table, [])]
        missing = [name for name in columns if name.lower() not in header]
        if missing:
            raise DatasetError(f"{path}: column '{missing[0]}' is missing; {where_to_get_it}")
        places = {name: header.index(name.lower()) for name in columns}
        return [(table.line_num, _cells(row, places)) for row in table if row]
    except SettingsError as exc:
        raise DatasetError(str(exc)) from None
    except csv.Error as exc:
        raise DatasetError(f"{path}, line {table.line_num}: not a CSV file: {exc}") from exc


def _cells(row: Sequence[str], places: dict[str, int]) -> dict[str, str]:
    return {name: row[at].strip() if at < len(row) else "" for name, at in places.items()}


def _decoded(lines: Iterable[bytes], source: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith(UTF16):
            raise SettingsError(f"{source}: is UTF-16, expected UTF-8; save it as UTF-8")
        try:
            # A byte order mark anywhere else is a character.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise SettingsError(
                f"{source}, line {number}: expected UTF-8, got other bytes (Latin-1, UTF-16 or no "
                "text at all); save it as UTF-8"
            )
        yield text
