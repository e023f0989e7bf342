"""The verb `bench`, and `bench compare` beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.options import FOLDER, detector_option

if TYPE_CHECKING:
    from edgefer_device.bench.result import Bench

SWEEPS = ("threads", "resolution", "faces", "rate")
"""As `sweep.SWEEPS`, which would load what it times."""


class Measuring(click.Group):
    """A verb that measures unless its first word is another of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `measure` before whatever is no command."""
        if not args or args[0] not in self.commands:
            args = ["measure", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Measuring)
def bench() -> None:
    """Time a model and the pipeline on this machine."""


@bench.command(epilog="Compare two: edgefer bench compare A.json B.json")
@click.argument("bundle", required=False)
@click.option("--runtime", help="litert, onnxruntime, tensorrt, cuda, edgetpu or a format.")
@click.option("--threads", type=click.IntRange(min=1), help="Of the classifier; 1 by default.")
@detector_option
@click.option("--duration", type=click.FloatRange(min=0.01), help="Seconds of a loop; 10.")
@click.option("--short", is_flag=True, help="A few seconds in all; says so.")
@click.option("--camera", help="A clip or a camera: file:PATH v4l2: demo: (default: the portrait)")
@click.option("--sweep", "sweeps", type=click.Choice(SWEEPS), multiple=True, help="Grow this too.")
@click.option("--data", type=FOLDER, help="Also the accuracy: folder of fer2013.npz or .csv.")
@click.option("--tune", is_flag=True, help="Find the fastest runtime and thread count.")
@click.option("--peak", is_flag=True, help="Also how near it comes to the int8 kernels' best.")
@click.option("--config", type=FOLDER, help="The daemon's TOML file, for --tune to write into.")
@click.option("--json", "json_file", type=FOLDER, help="Write everything to this file; - is here.")
@click.option("--plot", type=FOLDER, help="Draw it as a PNG file.")
def measure(
    config: Path | None, json_file: Path | None, plot: Path | None, tune: bool, **asked: Any
) -> None:
    """Time a model bundle, the detector, each stage and the whole pipeline here.

    BUNDLE is a path or a shipped bundle's name; by default the configuration's, or `small`.
    """
    from edgefer_device.bench import measurement as benches
    from edgefer_device.bench import plot as plots
    from edgefer_device.bench.view import show_bench
    from edgefer_device.daemon.configuration import Config, load_config

    if config is not None and not tune:
        raise click.UsageError("--config is for --tune to write into: give both")
    if plot is not None:
        plots.check_plot(plot)
    if json_file is not None:
        plots.check_folder(json_file)
    held = Config() if config is None else load_config(config)
    asked["bundle"] = asked["bundle"] or held.model
    asked["threads"] = asked["threads"] or 1
    key = Path(held.signed_by) if held.signed_by else None
    request = benches.Request(tune=tune, signed_by=key, **asked)
    done = benches.bench(request, lambda line: click.echo(f"edgefer: {line}", err=True))
    _write(done, json_file)
    if plot is not None:
        plots.write_plot(plot, plots.draw_bench(done))
    if str(json_file) != "-":
        show_bench(done)
    for warning in done.warnings:
        click.echo(f"edgefer: {warning}", err=True)
    if tune:
        _tune(done, config)


def _write(done: Bench, path: Path | None) -> None:
    from edgefer.messages import to_json
    from edgefer_device.bench.result import write_bench

    if str(path) == "-":
        click.echo(to_json(done))
    elif path is not None:
        write_bench(path, done)


def _tune(done: Bench, config: Path | None) -> None:
    """Put the fastest setting into the configuration, or say what to put there."""
    from edgefer_device.bench.settings_file import change

    best = done.tried[0]
    if config is None:
        words = f'runtime = "{best.runtime}", threads = {best.threads}'
        click.echo(f"fastest here: {words}; --config FILE writes it there", err=True)
        return
    changed = change(config, {"runtime": best.runtime, "threads": best.threads})
    if changed:
        click.echo(f"{config}: {', '.join(changed)}; now run: edgefer reload", err=True)
    else:
        click.echo(f"{config}: has the fastest runtime and thread count already", err=True)


@bench.command()
@click.argument("first", type=FOLDER, metavar="A")
@click.argument("second", type=FOLDER, metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", type=FOLDER, help="Draw it as a PNG file.")
def compare(first: Path, second: Path, as_json: bool, plot: Path | None) -> None:
    """Tell which differences of two benches are more than chance.

    A and B are files of edgefer bench --json. One run each does not show what a machine does from
    run to run: for a small difference give two folders of four runs or more, taken in turns.
    """
    from edgefer.messages import to_json
    from edgefer_device.bench import plot as plots
    from edgefer_device.bench.compare import compare_files
    from edgefer_device.bench.view import show_comparison

    if plot is not None:
        plots.check_plot(plot)
    done = compare_files(first, second)
    if as_json:
        sys.stdout.write(f"{to_json(done)}\n")
    else:
        show_comparison(done)
    if plot is not None:
        plots.write_plot(plot, plots.draw_comparison(done))
