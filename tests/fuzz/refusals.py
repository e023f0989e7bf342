"""What a refusal has to be: one printable line in our words that names what was wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgefer.errors import LONGEST, EdgeferError

FOREIGN = re.compile(
    r"Traceback|__\w+__|positional argument|object at 0x|<class |NoneType|invalid literal|"
    r"codec can't|\[Errno|Error -\d|index out of range|`\w+`|\w+(Error|Exception)\b|"
    r"could not convert|not in list|to unpack|unpack requires"
)
"""What Python and its libraries write of themselves."""
TOLD = re.compile(r"[:;,] \S|\bmust be\b|\bis missing\b")
"""A line says more than a name."""


class BadRefusal(AssertionError):
    """A refusal that tells nobody what to do."""


def fault(exc: EdgeferError, named: str) -> str | None:
    """Return what is wrong with a refusal, or None; its line has to hold the pattern `named`."""
    line = str(exc)
    if len(line.splitlines()) != 1 or not line.isprintable() or not line.strip():
        return f"no printable line: {line[:200]!r}"
    if len(line) > LONGEST + 5:
        return f"{len(line)} letters: {line[:200]!r}"
    if not re.search(named, line):
        return f"does not name {named!r}: {line[:200]!r}"
    if found := FOREIGN.search(line):
        return f"not in our words ({found[0]}): {line[-200:]!r}"
    return None if TOLD.search(line) else f"does not say what is wrong: {line[:200]!r}"


@contextmanager
def refusable(named: str = "") -> Iterator[None]:
    """Let a case be refused, and go on; raise `BadRefusal` for a refusal that is none."""
    try:
        yield
    except EdgeferError as exc:
        if wrong := fault(exc, named):
            raise BadRefusal(wrong) from exc
