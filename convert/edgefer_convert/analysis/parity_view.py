"""Parity as tables: matrices, checks and findings."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.table import Table

from edgefer.terminal import Terminal, styled
from edgefer_convert.analysis.parity import Pair, PairCheck, Parity


def show_parity(parity: Parity) -> None:
    """Print the matrices of agreement and difference, the checks and the findings."""
    console = Terminal()
    console.print(styled((parity.bundle, "bold"), f": {parity.n:,} faces, {parity.faces}"))
    console.print(styled((parity.machine, "dim")))
    for number, name in enumerate(parity.settings, 1):
        console.print(f"{number:3} {name}")
    console.print(_matrix(parity, "same label, %", _agreement))
    largest, mean = "largest difference in a probability", "mean difference in probabilities"
    console.print(_matrix(parity, largest, lambda pair: _figure(pair.largest)))
    console.print(_matrix(parity, mean, lambda pair: _figure(pair.mean)))
    console.print(_checks(parity.checks))
    for finding in parity.findings:
        console.print(f"- {finding}")


def _matrix(parity: Parity, title: str, cell: Callable[[Pair], str]) -> Table:
    """Return the lower half: the upper would repeat it."""
    pairs = {frozenset((pair.first, pair.second)): pair for pair in parity.pairs}
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", justify="right")
    for number in range(1, len(parity.settings)):
        table.add_column(str(number), justify="right", overflow="fold")
    for number, row in enumerate(parity.settings[1:], 2):
        others = parity.settings[: number - 1]
        table.add_row(str(number), *(cell(pairs[frozenset((row, other))]) for other in others))
    return table


def _agreement(pair: Pair) -> str:
    return "same" if pair.agreement == 1 else f"{100 * pair.agreement:.2f}"


def _figure(value: float) -> str:
    """Return at most five characters, so that the matrix of all formats fits a terminal."""
    return "0" if value == 0 else f"{value:.0e}" if value < 0.001 else f"{value:.3f}".lstrip("0")


def _checks(checks: tuple[PairCheck, ...]) -> Table:
    table = Table("should be the same", "as", "label", "largest", "verdict")
    table.title = "checks, limits below"
    for check in checks:
        pair = check.pair
        table.add_row(
            f"{pair.first}\n{pair.second}",
            check.kind,
            styled(f"{pair.agreement:.2%}\n", (f"{check.at_least:.1%}", "dim")),
            styled(f"{_figure(pair.largest)}\n", (f"{check.at_most}", "dim")),
            styled(("passed", "green") if check.passed else ("FAILED", "red")),
        )
    return table
