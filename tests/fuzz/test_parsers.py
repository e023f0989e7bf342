"""Whatever stands in a file or a message: it is read, or refused by one `EdgeferError`.

These are the first of the cases that `make fuzz` tries for an hour, a minute of them in all.
"""

from __future__ import annotations

import pytest

from fuzz.parsers import PARSERS
from fuzz.run import REFUSED, SUCCESS, run_child


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_or_refuses_in_one_line(name: str) -> None:
    outcomes, examples = run_child(name, cases=400, seconds=3.0, first=1)
    others = {found: examples.get(found) for found in outcomes if found not in (SUCCESS, REFUSED)}
    assert others == {}
    assert min(outcomes[SUCCESS], outcomes[REFUSED]) > 0 or name in ONE_SIDED, outcomes


ONE_SIDED = ("wire messages",)
"""Parsers that refuse nothing, for who sent it is not told: an unknown message is dropped."""
