"""A parity shown to a person: matrices, verdicts and findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from edgefer_convert.analysis.parity import Judged, Pair, Parity


def show_parity(parity: Parity) -> None:
    """Print the matrices of agreement and distance, what was judged and what was found."""
    console = Console()
    console.print(f"[bold]{parity.bundle}[/bold]: {parity.n:,} faces, {parity.faces}")
    console.print(f"[dim]{parity.machine}[/dim]", highlight=False)
    for number, name in enumerate(parity.settings, 1):
        console.print(f"{number:3} {name}", highlight=False)
    console.print(_matrix(parity, "same label, %", _agreement))
    console.print(_matrix(parity, "largest difference in a probability", _largest))
    console.print(_matrix(parity, "mean difference in probabilities", _mean))
    console.print(_judged(parity.judged))
    for finding in parity.findings:
        console.print(f"- {finding}", highlight=False)


def _matrix(parity: Parity, title: str, cell: Callable[[Pair], str]) -> Table:
    """The lower half: the upper would say the same."""
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


def _largest(pair: Pair) -> str:
    return _figure(pair.largest)


def _mean(pair: Pair) -> str:
    return _figure(pair.mean)


def _figure(value: float) -> str:
    """At most five signs, so that the matrix of all formats fits a terminal."""
    return "0" if value == 0 else f"{value:.0e}" if value < 0.001 else f"{value:.3f}".lstrip("0")


def _judged(judged: tuple[Judged, ...]) -> Table:
    table = Table("should be the same", "as", "label", "largest", "verdict")
    table.title = "judged, limits below"
    for row in _rows(judged):
        table.add_row(*row)
    return table


def _rows(judged: tuple[Judged, ...]) -> Iterator[tuple[str, ...]]:
    for one in judged:
        pair = one.pair
        yield (
            f"{pair.first}\n{pair.second}",
            one.kind,
            f"{pair.agreement:.2%}\n[dim]{one.at_least:.1%}[/dim]",
            f"{_figure(pair.largest)}\n[dim]{one.at_most}[/dim]",
            "[green]passed" if one.passed else "[red]FAILED",
        )
