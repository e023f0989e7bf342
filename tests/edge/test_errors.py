"""The drawing of the errors is what the code has."""

from __future__ import annotations

import re

import pytest

from edgefer import errors
from edgefer.errors import EdgeferError

LINE = re.compile(r"^ {4}([│├└─ ]*)(\w+) +\((\w+)\)", re.MULTILINE)
DEPTH = 4
"""Columns of the drawing by which a child is indented."""


def drawn() -> dict[str, tuple[str, str]]:
    """Each drawn error's parent and the builtin that it also is."""
    found, above = dict[str, tuple[str, str]](), {0: "EdgeferError"}
    for branch, name, builtin in LINE.findall(errors.__doc__ or ""):
        depth = len(branch) // DEPTH
        found[name] = (above[depth - 1], builtin)
        above[depth] = name
    return found


def defined() -> list[type[EdgeferError]]:
    return [getattr(errors, name) for name in errors.__all__ if name != "EdgeferError"]


def test_every_error_is_drawn_and_listed() -> None:
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)} - {"Path"}
    assert sorted(kinds) == errors.__all__
    assert set(drawn()) == kinds - {"EdgeferError"}


@pytest.mark.parametrize("kind", defined(), ids=lambda kind: kind.__name__)
def test_every_error_has_the_parent_and_the_builtin_of_the_drawing(
    kind: type[EdgeferError],
) -> None:
    parent, builtin = drawn()[kind.__name__]
    assert kind.__bases__[0].__name__ == parent
    resembled = [*kind.__bases__[1:], *kind.__mro__]
    assert next(one.__name__ for one in resembled if one.__module__ == "builtins") == builtin
