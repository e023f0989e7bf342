"""The verbs of training: data, fits, reports."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.options import FOLDER, data_option, json_option, run_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgefer_train.data.dataset import Dataset
    from edgefer_train.evaluation.candidate import Facts

FORMATS = click.Choice(
    ["int8", "onnx-int8", "float16", "onnx", "onnx-symmetric", "mobile", "keras", "qat", "float"]
)


@click.command()
@click.option("--recipe", "name", default="small", help="A shipped recipe's name or a TOML file.")
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder for the training.")
@click.option("--resume", is_flag=True, help="Go on with the training in --out.")
@click.option(
    "--epochs",
    type=click.FloatRange(min=0, min_open=True),
    help="In place of the recipe's; 0.1: a tenth of one, to try a recipe.",
)
@click.option(
    "--strategy",
    default="none",
    show_default=True,
    help="mirrored: all GPUs of this machine; multiworker: the machines that TF_CONFIG names.",
)
def train(
    name: str, data: Path | None, out: Path, resume: bool, epochs: float | None, strategy: str
) -> None:
    """Train a float model."""
    from edgefer_train.data.sources import load
    from edgefer_train.recipe import load_recipe

    recipe = load_recipe(name).with_epochs(epochs)
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_train.fitting.fit import fit
    from edgefer_train.fitting.strategy import from_name

    done = fit(recipe, Path(name).stem, dataset, out, resume, from_name(strategy))
    click.echo(f"{done.folder}: trained; next: edgefer quantize --run {done.folder}", err=True)


@click.command()
@json_option
def architectures(as_json: bool) -> None:
    """List the networks that a recipe can name, with their sizes and sources."""
    from edgefer.messages import to_json
    from edgefer_train.architectures import describe_architectures, show_architectures

    if not as_json:
        show_architectures()
        return
    for description in describe_architectures():
        click.echo(to_json(description))


@click.command()
@run_option
@data_option
def quantize(run_folder: Path, data: Path | None) -> None:
    """Fine-tune a trained model for int8 (quantization-aware training)."""
    from edgefer_train.data.sources import load
    from edgefer_train.run import Run

    work = Run(run_folder)
    work.model(work.float)
    recipe = work.record().recipe
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_train.quantization.quantize import quantize as fine_tune

    fine_tune(work, dataset)
    click.echo(f"{run_folder}: quantized; next: edgefer convert --run {run_folder}", err=True)


@click.command()
@click.argument("model", metavar="BUNDLE_OR_RUN")
@data_option
@click.option("--format", "format_", type=FORMATS, help="Default: int8; of a run qat, else float.")
@click.option("--labels", help="Which of a run's label sets; default: its recipe's.")
@click.option("--out", type=FOLDER, help="Folder for report.html, report.json and charts.")
@click.option(
    "--faces/--no-faces", default=True, help="Show the faces of the worst mistakes in the report."
)
@json_option
def evaluate(
    model: str,
    data: Path | None,
    format_: str | None,
    labels: str | None,
    out: Path | None,
    faces: bool,
    as_json: bool,
) -> None:
    """Measure a model bundle, or a run's Keras models, on PrivateTest."""
    from edgefer_train.evaluation.candidate import open_candidate, require_format

    candidate = open_candidate(model, labels)
    format_ = require_format(candidate, format_)
    from edgefer.inspection import show_scores
    from edgefer.messages import to_json
    from edgefer_device.mood.filter import MoodSettings
    from edgefer_train.data.sources import load
    from edgefer_train.evaluation.evaluate import evaluate as measure
    from edgefer_train.evaluation.report import report_dir, write_report

    with report_dir(out) as folder:
        facts = candidate.facts
        dataset = load(data, facts.label_set, facts.split, facts.side)
        done = measure(candidate, dataset, format_, MoodSettings().threshold)
        if folder:
            done = write_report(folder, done, candidate.fits, dataset if faces else None)
    click.echo(to_json(done)) if as_json else show_scores({format_: done})
    if not done.own_data:
        click.echo(f"edgefer: {done.doubt}", err=True)
    if out:
        click.echo(f"{out}: open {out / 'report.html'} in a browser", err=True)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="RUN_OR_BUNDLE...")
@click.option("--data", type=FOLDER, help="Measure all on this dataset's PrivateTest now.")
@click.option("--out", type=FOLDER, help="Folder for comparison.json and charts.")
@json_option
def compare(models: tuple[str, ...], data: Path | None, out: Path | None, as_json: bool) -> None:
    """Set runs and model bundles side by side.

    Runs are chosen on PublicTest. PrivateTest shows where a bundle's manifest tells it, or
    where --data is given, with McNemar's test of each model against the first; EDGEFER_DATA
    alone does not count.
    """
    from edgefer_train.evaluation.candidate import open_candidate

    candidates = [open_candidate(model) for model in models]
    from edgefer.messages import to_json
    from edgefer_train.evaluation.compare import compare as side_by_side
    from edgefer_train.evaluation.comparison_charts import comparison_dir, write_comparison
    from edgefer_train.evaluation.comparison_table import show_comparison

    with comparison_dir(out) as folder:
        done = side_by_side(candidates, _shared(data) if data else None)
        if folder:
            done = write_comparison(folder, done, candidates)
    click.echo(to_json(done)) if as_json else show_comparison(done)
    if out:
        click.echo(f"{out}: {', '.join(done.files)}", err=True)


def _shared(data: Path) -> Callable[[Facts], Dataset]:
    """Return what gives each model its view of the data, read once where they see the same."""
    from edgefer_train.data.sources import load

    once = functools.cache(functools.partial(load, data))
    return lambda facts: once(facts.label_set, facts.split, facts.side)


@click.group()
def data() -> None:
    """Look at a dataset before it is trained on."""


@data.command()
@click.argument("where", metavar="[DIR]", required=False, type=FOLDER, envvar="EDGEFER_DATA")
@click.option("--labels", help="fer2013, ferplus or folders; else what the data is stored with.")
@click.option("--split", help="official or 72/8/20; else the data's own parts where it has any.")
@click.option("--out", type=FOLDER, help="Folder for check.json and check.png.")
@json_option
def check(
    where: Path | None, labels: str | None, split: str | None, out: Path | None, as_json: bool
) -> None:
    """Find what is wrong with a dataset: damaged files, copies, conflicts, imbalance.

    The exit status is 1 only where a training would be refused.
    """
    from edgefer.messages import to_json
    from edgefer_train.data.check import read_and_check
    from edgefer_train.data.check_table import show

    reading, found = read_and_check(where, labels, split)
    click.echo(to_json(found)) if as_json else show(found)
    if out:
        from edgefer_train.data.check_sheet import write_check

        write_check(found, reading.faces.images, out)
        click.echo(f"{out}: check.json and check.png", err=True)
    found.require_usable()


@data.command()
@click.option("--recipe", "name", default="small", help="A shipped recipe's name or a TOML file.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True)
@json_option
def throughput(name: str, seconds: float, as_json: bool) -> None:
    """Time the input pipeline against a fit that is fed from memory."""
    from edgefer.messages import to_json
    from edgefer_train.recipe import load_recipe

    recipe = load_recipe(name)
    from edgefer_train.fitting import throughput as benchmark

    done = benchmark.throughput(recipe, Path(name).stem, seconds)
    click.echo(to_json(done) if as_json else benchmark.describe(done))
