"""A bench shown to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgefer.machine import Machine
from edgefer_device.bench.compare import LEVEL, Comparison
from edgefer_device.bench.result import Bench, Timing, Tried
from edgefer_device.bench.sweep import Sweep
from edgefer_device.bench.telemetry import State

APART = "apart: how far the loops' p50 lie from each other"
SHORT = "a short run: a glance, not a figure to quote"
ONE_RUN = (
    "one run each: what the machine does from run to run counts as a difference as well; "
    "for a small one compare folders of four runs each, taken in turns"
)


def show_bench(bench: Bench, console: Console | None = None) -> None:
    """Print the table and what belongs beside it."""
    console = console or Console(highlight=False)
    threads = f"{bench.threads} thread{'s' if bench.threads > 1 else ''}"
    console.print(f"[bold]{escape(bench.model)}[/bold], {bench.runtime}, {threads}")
    for line in _machine(bench.described):
        console.print(escape(line))
    console.print(_timings(bench))
    for line in _rest(bench):
        console.print(escape(line))
    if bench.tried:
        console.print(_tried(bench.tried))


def _machine(machine: Machine) -> Iterator[str]:
    features = f" ({', '.join(machine.features)})" if machine.features else ""
    board = "" if machine.board == "unknown" else f"{machine.board}: "
    yield f"{board}{machine.processor}, {machine.cores} cores{features}"
    yield f"{machine.kernel}, governor {machine.governor}, {machine.memory_mb:,} MB"
    yield ", ".join(f"{name} {version}" for name, version in machine.versions.items())


def _timings(bench: Bench) -> Table:
    how = f"{len(bench.timings[0].loops)} loops of {bench.loop_seconds:g} s"
    title = f"milliseconds a call; {how}; {bench.detector} on {bench.camera}"
    caption = f"{APART}\n{SHORT}" if bench.short else APART
    table = Table(title=escape(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in ("quiet", "p50", "p90", "p99", "max", "CPU", "/s", "apart"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in bench.timings:
        table.add_row(one.what, *_figures(one))
    return table


def _figures(one: Timing) -> list[str]:
    times = [_ms(value) for value in (one.quiet, one.p50, one.p90, one.p99, one.max, one.cpu_ms)]
    return [*times, _rate(one.rate), f"{one.spread:.0%}"]


def _ms(value: float | None) -> str:
    """Return three digits, which all columns beside each other have room for."""
    if value is None:
        return "-"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _rate(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _rest(bench: Bench) -> Iterator[str]:
    load, start = bench.load, bench.startup
    yield (
        f"model loaded in {load.load_ms:.0f} ms, first face {load.first_ms:.1f} ms, "
        f"memory {load.memory_mb:+.0f} MB"
    )
    first = "no mood" if start.first_mood is None else f"first mood {start.first_mood:.2f} s"
    spent = (
        "" if start.first_mood_cpu is None else f" ({start.first_mood_cpu:.2f} s of a processor)"
    )
    yield f"the daemon: {first} after its start{spent}, peak memory {start.peak_mb:.0f} MB"
    yield f"board before {_state(bench.board.before)}; after {_state(bench.board.after)}"
    yield from _energy(bench)
    if bench.accuracy is not None:
        found = bench.accuracy
        yield (
            f"accuracy on PrivateTest {found.accuracy:.2%} ({found.low:.1%} to {found.high:.1%}), "
            f"{found.pictures:,} pictures"
        )


def _energy(bench: Bench) -> Iterator[str]:
    watts, whole = bench.board.watts, bench.timings[-1]
    if watts is not None:
        yield (
            f"power {watts:.2f} W in the mean of all that was measured, "
            f"{1e3 * watts / whole.rate:.0f} mJ a frame at {whole.rate:.1f} frames a second"
        )


def _state(state: State) -> str:
    heat = "temperature not told" if state.celsius is None else f"{state.celsius:.0f} °C"
    clock = "clock not told" if state.mhz is None else f"{state.mhz:.0f} MHz"
    power = "" if state.watts is None else f", {state.watts:.2f} W"
    return f"{heat}, {clock}{power}{', throttled' if state.throttled else ''}"


def show_sweep(sweep: Sweep) -> None:
    """Print the times at each value of a sweep."""
    table = Table(
        *(sweep.by, "p50", "p90", "CPU", "/s", "bound"),
        title=sweep.what,
        caption=sweep.rule,
        box=SIMPLE_HEAD,
    )
    for point in sweep.points:
        one = point.timing
        table.add_row(
            *(str(point.value), _ms(one.p50), _ms(one.p90), _ms(one.cpu_ms)),
            *(_rate(one.rate), _ms(point.bound)),
        )
    Console(highlight=False).print(table)


def _tried(tried: Sequence[Tried]) -> Table:
    table = Table(
        "runtime",
        "threads",
        "quiet",
        "CPU",
        title="the classifier, the best first",
        box=SIMPLE_HEAD,
    )
    for one in tried:
        table.add_row(one.runtime, str(one.threads), _ms(one.quiet), _ms(one.cpu_ms))
    return table


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print how the second bench stands to the first."""
    console = console or Console(highlight=False)
    for difference in comparison.differences:
        console.print(f"[yellow]differs in {escape(difference)}[/yellow]")
    table = Table(
        title=escape(f"{comparison.second} beside {comparison.first}, ms, {comparison.units}' p50"),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    for name in ("first", "second", "ratio", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("second is", no_wrap=True)
    for row in comparison.rows:
        means = [f"{sum(group) / len(group):.2f}" for group in (row.first, row.second)]
        table.add_row(row.what, *means, f"{row.ratio:.3f}", f"{row.p_value:.3f}", row.verdict)
    table.caption = f"permutation test, a difference counts under p = {LEVEL:g}, each row by itself"
    console.print(table)
    if comparison.units == "loops":
        console.print(f"[yellow]{ONE_RUN}[/yellow]")
