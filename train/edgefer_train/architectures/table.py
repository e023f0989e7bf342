"""All networks side by side: how large each is and where it comes from."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from edgefer.labels import FER2013
from edgefer_train.architectures.registry import ARCHITECTURES, build
from edgefer_train.architectures.size import macs, parameters


class Description(msgspec.Struct, frozen=True):
    """One network with a head of seven labels."""

    name: str
    side: int
    """Of the pictures that its recipe trains on, pixels."""
    parameters: int
    """Weights, those folded at conversion left out."""
    mmacs: float
    """Millions of multiply-accumulates of one inference."""
    source: str


def describe_architectures() -> list[Description]:
    """Return the size of every network in the registry; each is built for that."""
    return [_describe(name) for name in ARCHITECTURES]


def show_architectures() -> None:
    """Print the networks as a table."""
    table = Table("architecture", "side", "parameters", "MMAC", "source")
    for column in table.columns[1:4]:
        column.justify = "right"
    for one in describe_architectures():
        table.add_row(
            one.name, str(one.side), f"{one.parameters:,}", f"{one.mmacs:.1f}", one.source
        )
    Console(highlight=False).print(table)


def _describe(name: str) -> Description:
    side, source = ARCHITECTURES[name].side, ARCHITECTURES[name].source
    model = build(name, {"fer2013": len(FER2013)}, side)
    return Description(name, side, parameters(model), macs(model) / 1e6, source)
