"""Tables and lines for a person, on standard output.

A narrow terminal folds what a table's cell holds and cuts nothing off; of a table of figures, which
are no use in halves, it gets a paragraph for each row. A text is shown as it is,
whoever wrote it: rich's markup in it is no markup, and what would move the cursor or turn the
writing's direction is escaped.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from edgefer.errors import one_line

WIDEST = 10_000
"""Columns of a terminal on which no table is folded."""


class Terminal(Console):
    """A console for texts of others; what is to be coloured comes as `styled`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as rich does, but cut no cell off: half a file's name is of no use."""
        fitting = (self._fitting(one) if isinstance(one, Table) else one for one in objects)
        super().print(*fitting, **how)

    def _fitting(self, table: Table) -> Table | Text:
        """Return a table, or its rows as text where it is wider than the terminal may be."""
        for column in table.columns:
            column.overflow = "fold"
        needed = Measurement.get(self, self.options.update(width=WIDEST), table).maximum
        if needed <= self.width or not any(column.no_wrap for column in table.columns):
            return table
        headings = [str(column.header) for column in table.columns[1:]]
        rows = []
        for name, *cells in zip(*(column.cells for column in table.columns), strict=True):
            figures = (" ".join(map(str, pair)) for pair in zip(headings, cells, strict=True))
            rows.append(f"{name}: {', '.join(figures)}")
        around = (str(one) for one in (table.title, *rows, table.caption) if one)
        return Text("\n\n".join(_safe(" ".join(one.split("\n"))) for one in around))

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is, but its lines safe."""
        # Whatever prints a text, a cell or a title calls this; its options are rich's.
        return super().render_str(_safe(text), **options)


def styled(*parts: str | tuple[str, str] | Text) -> Text:
    """Return some texts put together, those that come with a style in it."""
    return Text.assemble(*map(_part, parts))


def _part(part: str | tuple[str, str] | Text) -> str | tuple[str, str] | Text:
    if isinstance(part, tuple):
        return _safe(part[0]), part[1]
    return _safe(part) if isinstance(part, str) else part


def _safe(text: str) -> str:
    return "\n".join(map(one_line, text.split("\n")))
