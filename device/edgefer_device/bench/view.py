"""A bench and a comparison as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edgefer.machine import Machine
from edgefer.terminal import Terminal, styled
from edgefer_device.bench.compare import LEVEL, Comparison
from edgefer_device.bench.result import Bench, Candidate
from edgefer_device.bench.telemetry import Reading

CAPTION = "best second: p50 of the quickest; spread: range of the loops' p50"
SHORT = "a short run: an impression, not a figure to quote"
ONE_RUN = (
    "one run each: how the machine varies from run to run counts as a difference as well; "
    "for a small one compare folders of four runs each, taken in turns"
)


def show_bench(bench: Bench, console: Console | None = None) -> None:
    """Print the table and the figures beside it."""
    console = console or Terminal()
    threads = f"{bench.threads} thread{'s' if bench.threads > 1 else ''}"
    console.print(styled((bench.model, "bold"), f", {bench.runtime}, {threads}"))
    for line in _machine(bench.hardware):
        console.print(line)
    console.print(_timings(bench))
    for line in _rest(bench):
        console.print(line)
    if bench.candidates:
        console.print(_candidates(bench.candidates))


def _machine(machine: Machine) -> Iterator[str]:
    features = f" ({', '.join(machine.features)})" if machine.features else ""
    board = "" if machine.board == "unknown" else f"{machine.board}: "
    yield f"{board}{machine.processor}, {machine.cores} cores{features}"
    yield f"{machine.kernel}, governor {machine.governor}, {machine.memory_mb:,} MB"
    yield ", ".join(f"{name} {version}" for name, version in machine.versions.items())


def _timings(bench: Bench) -> Table:
    loops = f"{len(bench.timings[0].loops)} loops of {bench.loop_seconds:g} s"
    title = f"milliseconds a call; {loops}; {bench.detector} on {bench.camera}"
    caption = f"{CAPTION}\n{SHORT}" if bench.short else CAPTION
    columns = ("best\nsecond", "p50", "p90", "p99", "max", "CPU", "/s", "spread")
    table = numbers_table(title, caption, columns)
    for one in bench.timings:
        times = (one.best_second, one.p50, one.p90, one.p99, one.max, one.cpu_ms)
        table.add_row(one.what, *map(ms, times), per_second(one.rate), f"{one.spread:.0%}")
    return table


def numbers_table(title: str, caption: str, columns: Sequence[str], first: str = "") -> Table:
    """Return a table of a name and figures, which fits 80 columns."""
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def ms(value: float | None) -> str:
    """Return milliseconds with three digits."""
    if value is None:
        return "-"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def per_second(value: float) -> str:
    """Return a rate with three digits or more."""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _rest(bench: Bench) -> Iterator[str]:
    load, start = bench.load, bench.startup
    yield (
        f"model loaded in {load.load_ms:.0f} ms, first face {load.first_ms:.1f} ms, "
        f"memory {load.memory_mb:+.0f} MB"
    )
    first = "no mood" if start.first_mood is None else f"first mood {start.first_mood:.2f} s"
    spent = "" if start.first_mood_cpu is None else f" ({start.first_mood_cpu:.2f} s of CPU)"
    yield f"the daemon: {first} after its start{spent}, peak memory {start.peak_mb:.0f} MB"
    yield f"before: {_reading(bench.telemetry.before)}; after: {_reading(bench.telemetry.after)}"
    yield from _energy(bench)
    if bench.accuracy is not None:
        found = bench.accuracy
        yield (
            f"accuracy on PrivateTest {found.accuracy:.2%} ({found.low:.1%} to {found.high:.1%}), "
            f"{found.images:,} images"
        )


def _energy(bench: Bench) -> Iterator[str]:
    watts, whole = bench.telemetry.watts, bench.timings[-1]
    if watts is not None:
        yield (
            f"power {watts:.2f} W, mean of the whole bench, "
            f"{1e3 * watts / whole.rate:.0f} mJ a frame at {whole.rate:.1f} frames a second"
        )


def _reading(reading: Reading) -> str:
    heat = "no temperature" if reading.celsius is None else f"{reading.celsius:.0f} °C"
    clock = "no clock" if reading.mhz is None else f"{reading.mhz:.0f} MHz"
    power = "" if reading.watts is None else f", {reading.watts:.2f} W"
    return f"{heat}, {clock}{power}{', throttled' if reading.throttled else ''}"


def _candidates(candidates: Sequence[Candidate]) -> Table:
    columns = ("threads", "best second", "CPU")
    table = numbers_table("the classifier, the best first", "", columns, "runtime")
    for one in candidates:
        table.add_row(one.runtime, str(one.threads), ms(one.best_second), ms(one.cpu_ms))
    return table


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print the second bench relative to the first."""
    console = console or Terminal()
    for difference in comparison.differences:
        console.print(styled((f"differs in {difference}", "yellow")))
    title = f"{comparison.second} compared to {comparison.first}, ms, p50 of {comparison.units}"
    caption = f"permutation test, significant below p = {LEVEL:g}, each row by itself"
    table = numbers_table(title, caption, ("first", "second", "ratio", "p"))
    table.add_column("second is", no_wrap=True)
    for row in comparison.rows:
        means = [f"{sum(group) / len(group):.2f}" for group in (row.first, row.second)]
        table.add_row(row.what, *means, f"{row.ratio:.3f}", f"{row.p_value:.3f}", row.verdict)
    console.print(table)
    if comparison.units == "loops":
        console.print(styled((ONE_RUN, "yellow")))
