"""Cases for the parsers: what is valid, damaged in the ways that files and messages are.

Hypothesis seeds the generator of each, so that it comes again; drawn by Hypothesis value by value
a case takes ten times as long.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Maker = Callable[[Random], Any]
"""Makes a case by a generator of random numbers."""
Path = tuple[Any, ...]
"""Keys and numbers that lead into nested tables and lists."""

TEXTS = (
    *(
        "",
        " ",
        "\0",
        "\x1b[31mred",
        "[bold]x[/bold]",
        "a\nb",
        "\r\n",
        "\u2028",
        "\ud800",
        "é",
        "家",
    ),
    *("..", "/", "~nosuchuser/x", "file:", "x" * 5000, "%s{0}", "true", "-1", "1e999", "NaN"),
)
NUMBERS = (
    *(0, -1, 1, 2, 3, 7, 48, 127, 255, 65_536, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64, 10**30),
    *(0.0, -0.0, 0.5, 1e-320, 1e300, -1e300, math.inf, -math.inf, math.nan),
)
VALUES: tuple[Any, ...] = (
    *TEXTS,
    *NUMBERS,
    *(None, True, False, [], {}, [[]], [None], [{}], {"": ""}, {"a": {"b": [1, 2]}}),
    *([0] * 1000, ["x"] * 100),
)
ANY = bytes(range(256))
LETTERS = b"""[]{}=,.:;"'#\\/-+_ \n\t0123456789aeinrstTZ"""
"""Of texts, so that damage is no matter of UTF-8 alone."""
BYTES = (b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b'"', b"[", b"{", b"]", b"=", b"\x80" * 9)


def paths(table: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in nested tables and lists."""
    pairs = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in pairs:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*above, key))


def edited(table: dict[str, Any], values: Sequence[Any] = VALUES) -> Maker:
    """Return what makes a table with one to three values replaced, removed or renamed."""
    known = list(paths(table))

    def make(draw: Random) -> dict[str, Any]:
        edited = copy.deepcopy(table)
        for _ in range(draw.randint(1, 3)):
            *above, key = draw.choice(known)
            inner = _inner(edited, above)
            if not isinstance(inner, dict | list) or not _has(inner, key):
                continue
            action = draw.randrange(6)
            if action == 0:
                del inner[key]
            elif action == 1 and isinstance(inner, dict):
                inner[draw.choice((*TEXTS, f"{key}s"))] = inner.pop(key)
            elif action == 2:
                inner[key] = _like(draw, inner[key])
            else:
                inner[key] = copy.deepcopy(draw.choice(values))
        return edited

    return make


def _like(draw: Random, value: Any) -> Any:
    """Return another value of the same type, where it has one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return draw.choice((value + 1, value - 1, 2 * value, -value, value / 2))
    if isinstance(value, str):
        return draw.choice((value + value, value[1:], value.upper(), f" {value}", *TEXTS))
    return value[:-1] if isinstance(value, list) else value


def _inner(table: Any, path: Sequence[Any]) -> Any:
    for key in path:
        if not isinstance(table, dict | list) or not _has(table, key):
            return None
        table = table[key]
    return table


def _has(table: dict[Any, Any] | list[Any], key: Any) -> bool:
    if isinstance(table, dict):
        return key in table
    return isinstance(key, int) and key < len(table)


def damaged(content: bytes, alphabet: bytes = ANY) -> Maker:
    """Return what makes bytes with one to four places overwritten, inserted, removed or cut off.

    What is written comes from `alphabet`.
    """
    inserted = [one for one in BYTES if set(one) <= set(alphabet)]

    def make(draw: Random) -> bytes:
        held = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            at, action = draw.randint(0, max(0, len(held) - 1)), draw.randrange(8)
            if action < 4 and held:
                held[at] = draw.choice(alphabet)
            elif action == 4:
                held[at:at] = draw.choice(inserted)
            elif action == 5:
                held[at : at + draw.randint(1, 4)] = bytes(draw.choices(alphabet, k=4))
            elif action == 6:
                del held[at : at + draw.randint(1, 40)]
            elif draw.random() < 0.3:
                del held[at:]
        return bytes(held)

    return make


def words(*pieces: str) -> Maker:
    """Return what makes texts put together from some pieces and what texts may hold."""
    known = (*pieces, *pieces, *TEXTS)

    def make(draw: Random) -> str:
        letters = "".join(map(chr, draw.choices((9, 64, 90, 233, 0x3042, 0x1F600, 0xDC80), k=2)))
        return "".join(draw.choice((*known, letters)) for _ in range(draw.randint(1, 8)))

    return make


def one_of(*makers: Maker) -> Maker:
    """Return what makes a case by one of several makers."""
    return lambda draw: draw.choice(makers)(draw)


def all_of(*makers: Maker) -> Maker:
    """Return what makes a tuple, a case of each maker."""
    return lambda draw: tuple(make(draw) for make in makers)


def always(case: Any) -> Maker:
    """Return what makes the same case each time."""
    return lambda _: case


def then(make: Maker, change: Callable[[Any], Any]) -> Maker:
    """Return what makes a case and changes it."""
    return lambda draw: change(make(draw))
