"""The peers' figures as a table in Markdown and as a picture, ours first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from edgefer.theme import LIGHT, as_png
from peers.measure import Result

Figure = Callable[[Result], float | None]


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield lines: each figure, and beside it how many times ours it is."""
    yield f"| | {' | '.join(one.name for one in results)} |"
    yield f"| --- |{' --- |' * len(results)}"
    found = [one.accuracy for one in results]
    said = [f"{one.accuracy:.1%} ({one.low:.1%} to {one.high:.1%})" for one in found]
    yield f"| accuracy, {found[0].images:,} of PrivateTest | {' | '.join(said)} |"
    for name, form, figure in _rows(results[0]):
        values = [figure(one) for one in results]
        yield f"| {name} | {' | '.join(_cell(value, values[0], form) for value in values)} |"


def _rows(ours: Result) -> Iterator[tuple[str, str, Figure]]:
    for clip in ours.clips:
        yield f"{clip}: CPU a frame", "{:.1f} ms", _of_clip(clip, "cpu_ms")
        yield f"{clip}: wall, p50", "{:.1f} ms", _of_clip(clip, "p50_ms")
        yield f"{clip}: answered", "{:.0%}", _of_clip(clip, "found")
    yield "CPU a face that is cut", "{:.2f} ms", attrgetter("face_cpu_ms")
    yield "peak memory", "{:.0f} MB", attrgetter("peak_mb")
    yield "first answer after the start", "{:.2f} s", attrgetter("start_s")
    yield "CPU until then", "{:.2f} s", attrgetter("start_cpu_s")
    yield "installed", "{:,.0f} MB", attrgetter("installed_mb")


def _of_clip(clip: str, figure: str) -> Figure:
    return lambda one: float(getattr(one.clips[clip], figure))


def _cell(value: float | None, ours: float | None, form: str) -> str:
    if value is None or ours is None:
        return "-"
    ratio = f", {value / ours:.1f} x" if "%" not in form and ours and value is not ours else ""
    return f"{form.format(value)}{ratio}"


def draw(results: Sequence[Result], machine: str) -> bytes:
    """Return a PNG: CPU of a frame by clip, and accuracy with its 95 % interval."""
    names, clips = [one.name for one in results], list(results[0].clips)
    with LIGHT.applied():
        figure = LIGHT.figure(1.6 + 1.1 * len(results), "Beside other packages", machine)
        cost, right = figure.subplots(2, 1)
        for at, clip in enumerate(clips):
            rows = [row + 0.36 * at - 0.18 for row in range(len(results))]
            widths = [one.clips[clip].cpu_ms for one in results]
            cost.barh(rows, widths, height=0.34, color=LIGHT.series[at], label=clip)
        cost.set_xlabel("CPU a frame, milliseconds")
        cost.legend(fontsize=10)
        for row, one in enumerate(result.accuracy for result in results):
            spread = [[100 * (one.accuracy - one.low)], [100 * (one.high - one.accuracy)]]
            right.errorbar(
                [100 * one.accuracy], [row], xerr=spread, fmt="o", color=LIGHT.series[0], capsize=4
            )
        right.set_xlabel("accuracy on PrivateTest, percent")
        for panel in (cost, right):
            panel.set_yticks(range(len(results)), names)
            panel.invert_yaxis()
            panel.grid(axis="x")
            panel.set_axisbelow(True)
        return as_png(figure)
