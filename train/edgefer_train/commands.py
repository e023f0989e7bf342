"""The verbs of training: data, fits, reports."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.options import (
    FILE,
    FOLDER,
    Number,
    data_option,
    grouped,
    json_option,
    labels_option,
    plot_option,
    recipe_option,
    run_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgefer_train.data.dataset import Dataset
    from edgefer_train.evaluation.candidate import Candidate, Facts
    from edgefer_train.evaluation.robustness import Suite
    from edgefer_train.recipe import Choice

log = logging.getLogger(__name__)

FORMATS = click.Choice([
    *("int8", "onnx-int8", "uint8", "float16", "dynamic", "int16x8"),
    *("onnx", "onnx-symmetric", "mobile", "keras", "qat", "float"),
])  # fmt: skip
PARTS = click.Choice(["PublicTest", "PrivateTest"])


@click.command()
@grouped(
    "chosen",
    "edgefer_train.recipe:Choice",
    recipe_option,
    click.option(
        "--from", "start", metavar="MODEL", help="Start from a bundle or run; recipe: finetune."
    ),
    click.option("--labels", help="fer2013, ferplus or folders, instead of the recipe's."),
    click.option("--split", help="official or 72/8/20, instead of the recipe's."),
    click.option(
        "--epochs",
        type=Number(min=0, min_open=True),
        help="Epochs instead of the recipe's; 0.1 tries a tenth of one.",
    ),
    click.option("--set", "changes", metavar="KEY=VALUE", multiple=True,
                 help="Change the recipe, as fit.batch_size=32; repeatable."),
)  # fmt: skip
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder for the training run.")
@click.option("--resume", is_flag=True, help="Continue the training in --out.")
@click.option(
    "--strategy",
    metavar="NAME",
    default="none",
    show_default=True,
    help="none, mirrored (all GPUs here) or multiworker (the machines in TF_CONFIG).",
)
def train(chosen: Choice, data: Path | None, out: Path, resume: bool, strategy: str) -> None:
    """Train a float model from a recipe.

    With --resume the recipe is the run's own unless --recipe names one; more --epochs go on
    longer. With --from a bundle's float weights learn the labels of the data.
    """
    from edgefer_train.training import train as start_training

    start_training(chosen, data, out, resume, strategy)


@click.command()
@click.argument("space", metavar="SPACE", type=FILE)
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder for a run of each trial.")
@click.option("--address", metavar="HOST:PORT", help="Of a Ray cluster; default: this machine.")
@click.option("--resume", is_flag=True, help="Train what is not finished in --out.")
def sweep(space: Path, data: Path | None, out: Path, address: str | None, resume: bool) -> None:
    """Train a recipe with many values of its keys.

    SPACE is a TOML file of the keys and what to try of each, as [vary] "fit.learning_rate" =
    [0.02, 0.05]. Each combination is a run of its own, and the best on PublicTest comes first.
    """
    from edgefer_train.sweep import read_space, require_free, show

    trials = read_space(space)
    require_free(out, resume)
    from edgefer_train.ray_trials import run_trials
    from edgefer_train.training import continued_by

    log.info("%s: %d trials", out, len(trials))
    with continued_by(f"edgefer sweep {space} --out {out} --resume"):
        found = run_trials(trials, data.resolve() if data else None, out.resolve(), address)
    show(found, out, len(trials))


@click.command()
@json_option
def architectures(as_json: bool) -> None:
    """List network architectures with their sizes and sources."""
    from edgefer.messages import to_json
    from edgefer_train.architectures import describe_architectures, show_architectures

    if not as_json:
        show_architectures()
        return
    for description in describe_architectures():
        say(to_json(description))


@click.command()
@run_option
@data_option
def quantize(run_folder: Path, data: Path | None) -> None:
    """Fine-tune a trained model for int8 (quantization-aware training)."""
    from edgefer_train.training import quantize as fine_tune

    fine_tune(run_folder, data)


@click.command()
@click.argument("model", metavar="BUNDLE_OR_RUN")
@data_option
@click.option("--format", "format_", type=FORMATS, help="Default: int8; for a run qat, else float.")
@labels_option
@click.option("--out", type=FOLDER, help="Folder for report.html, report.json and charts.")
@click.option("--faces/--no-faces", default=True, help="Show the worst mistakes in the report.")
@grouped(
    "suite",
    "edgefer_train.evaluation.robustness:Suite",
    click.option("--corruptions", is_flag=True, help="Measure on corrupted faces instead."),
    click.option("--kind", "kinds", multiple=True, help="Only this corruption, as jpeg."),
    click.option("--part", type=PARTS, default="PrivateTest", help="Faces to corrupt."),
    plot_option,
)
@json_option
def evaluate(  # noqa: PLR0913 - the verb's options, of which those of the suite are one struct
    *,
    model: str,
    data: Path | None,
    format_: str | None,
    labels: str | None,
    out: Path | None,
    faces: bool,
    suite: Suite,
    as_json: bool,
) -> None:
    """Evaluate a bundle or run on the test set."""
    from edgefer_train.evaluation.candidate import open_candidate, require_format

    suite.require_alone(out)
    candidate = open_candidate(model, labels)
    format_ = require_format(candidate, format_)
    from edgefer.inspection import show_scores
    from edgefer.labels import THRESHOLD
    from edgefer.messages import to_json
    from edgefer_train.data.sources import load
    from edgefer_train.evaluation.evaluate import evaluate as measure
    from edgefer_train.evaluation.report import report_dir, write_report

    facts = candidate.facts
    if suite.corruptions:
        dataset = load(data, facts.expected, facts.split, facts.side)
        _evaluate_corrupted(candidate, dataset, format_, suite, as_json)
        return
    with report_dir(out) as folder:
        dataset = load(data, facts.expected, facts.split, facts.side)
        done = measure(candidate, dataset, format_, THRESHOLD)
        if folder:
            done = write_report(folder, done, candidate.fits, dataset if faces else None)
    say(to_json(done)) if as_json else show_scores({format_: done}, facts.label_set)
    if not done.same_dataset:
        log.warning("%s", done.other_data_warning)
    if out:
        log.info("%s: open report.html in a browser", out)


def _evaluate_corrupted(
    candidate: Candidate, dataset: Dataset, format_: str, suite: Suite, as_json: bool
) -> None:
    from edgefer.files import write_output
    from edgefer.messages import to_json
    from edgefer.theme import LIGHT
    from edgefer_train.evaluation import robustness

    done = robustness.measure_robustness(candidate, dataset, format_, suite)
    say(to_json(done)) if as_json else robustness.show_robustness(done)
    if suite.plot:
        write_output(suite.plot, robustness.draw_robustness(done, LIGHT))


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="RUN_OR_BUNDLE...")
@click.option("--data", type=FOLDER, help="Evaluate all on this dataset's test set.")
@click.option("--out", type=FOLDER, help="Folder for comparison.json and charts.")
@json_option
def compare(models: tuple[str, ...], data: Path | None, out: Path | None, as_json: bool) -> None:
    """Compare runs and bundles by accuracy, size and settings.

    Runs show PublicTest. PrivateTest is shown from a bundle's manifest, or with --data, then
    with McNemar's test of each model against the first; EDGEFER_DATA is not read.
    """
    from edgefer_train.evaluation.candidate import open_candidate

    candidates = [open_candidate(model) for model in models]
    from edgefer.messages import to_json
    from edgefer_train.evaluation.compare import compare as side_by_side
    from edgefer_train.evaluation.compare import show_comparison
    from edgefer_train.evaluation.comparison_charts import comparison_dir, write_comparison

    with comparison_dir(out) as folder:
        done = side_by_side(candidates, _shared(data) if data else None)
        if folder:
            done = write_comparison(folder, done, candidates)
    say(to_json(done)) if as_json else show_comparison(done)
    if out:
        log.info("%s: %s", out, ", ".join(done.files))


def _shared(data: Path) -> Callable[[Facts], Dataset]:
    """Return what gives each model its view of the data, read once where they see the same."""
    from edgefer_train.data.sources import load

    once = functools.cache(functools.partial(load, data))
    return lambda facts: once(facts.expected, facts.split, facts.side)


@click.group()
def data() -> None:
    """Check datasets before training."""


@data.command()
@click.argument("where", metavar="[DIR]", required=False, type=FOLDER, envvar="EDGEFER_DATA")
@click.option("--labels", help="fer2013, ferplus or folders; default: as the data is stored.")
@click.option("--split", help="official or 72/8/20; default: the data's own parts.")
@click.option("--out", type=FOLDER, help="Folder for check.json and check.png.")
@json_option
def check(
    where: Path | None, labels: str | None, split: str | None, out: Path | None, as_json: bool
) -> None:
    """Check a dataset for damage, duplicates, label conflicts and imbalance.

    The exit status is 1 only if a training would be refused.
    """
    from edgefer.messages import to_json
    from edgefer_train.data.check import read_and_check
    from edgefer_train.data.check_table import show

    reading, found = read_and_check(where, labels, split)
    say(to_json(found)) if as_json else show(found)
    if out:
        from edgefer_train.data.check_sheet import write_check

        write_check(found, reading.faces.images, out)
        log.info("%s: check.json and check.png", out)
    found.require_usable()


@click.command()
@recipe_option
@click.option("--seconds", type=Number(min=1), default=60.0, show_default=True)
@json_option
def throughput(name: str | None, seconds: float, as_json: bool) -> None:
    """Time the input pipeline against training from memory."""
    from edgefer.messages import to_json
    from edgefer_train.recipe import load_recipe

    recipe = load_recipe(name or "small")
    from edgefer_train.fitting import throughput as benchmark

    done = benchmark.throughput(recipe, Path(name or "small").stem, seconds)
    say(*([to_json(done)] if as_json else benchmark.describe(done).splitlines()))
