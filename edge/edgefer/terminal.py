"""Tables and lines for a person, on standard output.

A narrow terminal folds what a table's cell holds and cuts nothing off. A text is shown as it is,
whoever wrote it: rich's markup in it is no markup, and what would move the cursor or turn the
writing's direction is escaped.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefer.errors import one_line


class Terminal(Console):
    """A console for texts of others; what is to be coloured comes as `styled`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as rich does, but cut no cell off: half a file's name is of no use."""
        for table in objects:
            for column in table.columns if isinstance(table, Table) else ():
                column.overflow = "ellipsis" if column.no_wrap else "fold"
        super().print(*objects, **how)

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
