"""The verb `bench` with `bench compare` beside it, and `model formats`."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.options import (
    FILE,
    FOLDER,
    MAX_THREADS,
    PATH,
    Number,
    detector_option,
    grouped,
    json_option,
    labels_option,
    plot_option,
)

if TYPE_CHECKING:
    from edgefer_device.bench.components import Request
    from edgefer_device.bench.result import Bench

log = logging.getLogger(__name__)

runtime_option = click.option(
    "--runtime",
    metavar="NAME",
    help="litert, onnxruntime, an accelerator, or a format of the bundle.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    default=1,
    show_default=True,
    help="For the model.",
)
short_option = click.option("--short", is_flag=True, help="A few seconds in all; not to quote.")
camera_option = click.option(
    "--camera", metavar="URI", help="file:PATH, v4l2:, demo:; default: the demo portrait."
)


class Measuring(click.Group):
    """A verb that measures unless its first word is another of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `measure` before whatever is no command."""
        if not args or args[0] not in self.commands:
            args = ["measure", *args]
        return super().parse_args(ctx, args)


class Unnamed(click.Command):
    """What a `Measuring` does without one of its commands, which nobody has to write."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage without this command's own name."""
        above = ctx.parent.command_path if ctx.parent else ctx.command_path
        formatter.write_usage(above, " ".join(self.collect_usage_pieces(ctx)))


@click.group(cls=Measuring)
def bench() -> None:
    """Time a model and the pipeline on this machine."""


@bench.command(cls=Unnamed, epilog="Compare two: edgefer bench compare A.json B.json")
@click.argument("bundle", required=False)
@grouped(
    "request",
    "edgefer_device.bench.components:Request",
    runtime_option,
    threads_option,
    detector_option,
    click.option("--duration", type=Number(min=0.01), help="Seconds of a loop; default: 10."),
    short_option,
    camera_option,
    click.option("--data", type=FOLDER, help="Also the accuracy, on fer2013.npz or .csv."),
    click.option("--tune", is_flag=True, help="Find the fastest runtime and thread count."),
)
@click.option("--config", type=FILE, help="Configuration of the daemon, for --tune to change.")
@click.option("--json", "json_file", type=FILE, help="Write everything as JSON; - is stdout.")
@plot_option
def measure(
    bundle: str | None,
    request: Request,
    config: Path | None,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Time a bundle, the detector, each stage and the pipeline.

    BUNDLE is a path or a shipped bundle's name; by default the configuration's, or `small`.
    """
    from edgefer.files import check_output, write_output
    from edgefer_device.bench import measurement
    from edgefer_device.bench import plot as plots
    from edgefer_device.bench.view import show_bench
    from edgefer_device.daemon.configuration import Config, load_config

    if config is not None and not request.tune:
        raise click.UsageError("--config is for --tune to write into: give both")
    if plot is not None:
        plots.check_plot(plot)
    if json_file is not None:
        check_output(json_file)
    held = Config() if config is None else load_config(config)
    request = replace(request, bundle=bundle or held.model, signed_by=held.signed_by)
    done = measurement.bench(request, log.info)
    _write(done, json_file)
    if plot is not None:
        write_output(plot, plots.draw_bench(done))
    if str(json_file) != "-":
        show_bench(done)
    for warning in done.warnings:
        log.warning("%s", warning)
    if request.tune:
        _tune(done, config)


def _write(done: Bench, path: Path | None) -> None:
    from edgefer.messages import to_json
    from edgefer_device.bench.result import write_bench

    if str(path) == "-":
        say(to_json(done))
    elif path is not None:
        write_bench(path, done)


def _tune(done: Bench, config: Path | None) -> None:
    """Write the fastest setting into the configuration, or report it."""
    from edgefer_device.bench.tune import write_keys

    best = done.candidates[0]
    if config is None:
        words = f'runtime = "{best.runtime}", threads = {best.threads}'
        log.info("fastest here: %s; --config FILE writes it there", words)
        return
    changed = write_keys(config, {"runtime": best.runtime, "threads": best.threads})
    if changed:
        log.info("%s: %s; now run: edgefer reload", config, ", ".join(changed))
    else:
        log.info("%s: has the fastest runtime and thread count already", config)


@bench.command()
@click.argument("first", type=PATH, metavar="A")
@click.argument("second", type=PATH, metavar="B")
@json_option
@plot_option
def compare(first: Path, second: Path, as_json: bool, plot: Path | None) -> None:
    """Test which differences of two benches are significant.

    A and B are files of edgefer bench --json. One run each does not show what a machine does from
    run to run: for a small difference give two folders of four runs or more, taken in turns.
    """
    from edgefer.files import write_output
    from edgefer.messages import to_json
    from edgefer_device.bench import plot as plots
    from edgefer_device.bench.compare import compare_files
    from edgefer_device.bench.view import show_comparison

    if plot is not None:
        plots.check_plot(plot)
    done = compare_files(first, second)
    if as_json:
        say(to_json(done))
    else:
        show_comparison(done)
    if plot is not None:
        write_output(plot, plots.draw_comparison(done))


@click.command()
@click.argument("bundle")
@click.option("--seconds", type=Number(min=0.05), default=2.0, show_default=True)
@labels_option
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@json_option
def formats(bundle: str, seconds: float, labels: str | None, markdown: bool, as_json: bool) -> None:
    """Compare a bundle's formats by size, accuracy and time.

    Each format is timed for --seconds, one face at a time, on one thread.
    """
    from edgefer.bundle import open_bundle
    from edgefer.messages import to_json
    from edgefer_device.bench import format_table

    done = format_table.compare(open_bundle(bundle), seconds, labels)
    if as_json or markdown:
        say(*([to_json(done)] if as_json else format_table.to_markdown(done).splitlines()))
    else:
        format_table.show_comparison(done)
