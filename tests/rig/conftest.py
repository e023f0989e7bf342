"""A device that was set up as its README says, for the tests of what then runs there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.card import PLACE, root, write_card
from rig.container import Device, booted


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_card(tmp_path_factory.mktemp("card"), "amd64")


@pytest.fixture(scope="module")
def device(card: Path) -> Iterator[Device]:
    """One on which `first-boot` has run, with a broker, and the portrait for a camera."""
    with booted(root("amd64"), [card]) as fresh:
        fresh.check(f"sh /{PLACE}/first-boot debian --broker", seconds=600)
        yield fresh
