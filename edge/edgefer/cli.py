"""The `edgefer` command: each verb parses, builds objects, calls and prints.

Verbs import their stage when they are called, so that a device never loads
what only training needs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer import __version__
from edgefer.errors import EdgeferError, MissingExtra
from edgefer.notices import shown_plainly

if TYPE_CHECKING:
    from edgefer_train.dataset import Dataset

FOLDER = click.Path(path_type=Path)
FORMATS = click.Choice(["int8", "onnx", "onnx-int8"])
DETECTORS = click.Choice(["haar", "blazeface"])

data_option = click.option(
    "--data",
    type=FOLDER,
    envvar="EDGEFER_DATA",
    help="FER2013: the folder with fer2013.npz, fer2013.csv or train/ and test/.",
)
run_option = click.option(
    "--run", "run_folder", type=FOLDER, required=True, help="Folder of the training."
)
detector_option = click.option("--detector", type=DETECTORS, help="Face detector.")
model_option = click.option("--model", help="Model bundle: a path, or a shipped one's name.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Verbs(click.Group):
    """Turns every `EdgeferError` into one line on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; `--debug` lets the traceback through."""
        try:
            with shown_plainly():
                return super().invoke(ctx)
        except EdgeferError as exc:
            if ctx.params.get("debug"):
                raise
            click.echo(f"edgefer: {exc}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as exc:
            extra = _extra_of(exc.name or "")
            if extra is None or ctx.params.get("debug"):
                raise
            click.echo(f"edgefer: {MissingExtra(str(exc.name), extra)}", err=True)
            ctx.exit(1)


def _extra_of(module: str) -> str | None:
    """Return the extra that brings a third-party module, or None if none does."""
    package = module.partition(".")[0]
    extras = {
        "train": {"tensorflow", "tf_keras", "tensorflow_model_optimization", "tf2onnx", "onnx"},
        "device": {"aiohttp", "aiomqtt", "ai_edge_litert"},
    }
    return next((extra for extra, packages in extras.items() if package in packages), None)


@click.group(cls=Verbs)
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Facial-expression models from a dataset to a device.

    Expressions are what faces show, not what people feel.
    """


@main.command()
@click.option("--config", type=FOLDER, help="TOML file; options below go before it.")
@click.option("--camera", help="auto: demo: file:PATH v4l2:/dev/video0")
@detector_option
@model_option
@click.option("--sink", "sinks", multiple=True, help="console: jsonl:- mqtt://HOST mirror:")
@click.option("--frames", type=click.IntRange(min=1), help="End after this many frames.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after this time.")
def run(
    config: Path | None,
    camera: str | None,
    detector: str | None,
    model: str | None,
    sinks: tuple[str, ...],
    frames: int | None,
    seconds: float | None,
) -> None:
    """Read the mood before a camera until stopped."""
    from edgefer_device import daemon
    from edgefer_device.config import load_config

    chosen = {"camera": camera, "detector": detector, "model": model, "sinks": sinks or None}
    given = {key: value for key, value in chosen.items() if value is not None}
    daemon.run(load_config(config, given), frames=frames, seconds=seconds)


@main.command()
@click.argument("images", nargs=-1, required=True, type=FOLDER, metavar="IMAGE...")
@detector_option
@model_option
@json_option
def predict(
    images: tuple[Path, ...], detector: str | None, model: str | None, as_json: bool
) -> None:
    """Read the expressions in pictures."""
    from edgefer.messages import to_json
    from edgefer_device.predict import describe, predictions

    for prediction in predictions(images, detector, model):
        click.echo(to_json(prediction) if as_json else describe(prediction))


@main.command()
@click.option("--recipe", "name", default="small", help="A shipped recipe's name or a TOML file.")
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder for the training.")
@click.option("--resume", is_flag=True, help="Go on with the training in --out.")
def train(name: str, data: Path | None, out: Path, resume: bool) -> None:
    """Train a float model."""
    from edgefer_train.recipe import load_recipe

    recipe, dataset = load_recipe(name), _dataset(data)
    from edgefer_train.fit import fit

    done = fit(recipe, Path(name).stem, dataset, out, resume)
    click.echo(f"{done.folder}: trained; next: edgefer quantize --run {done.folder}", err=True)


@main.command()
@run_option
@data_option
def quantize(run_folder: Path, data: Path | None) -> None:
    """Fine-tune a trained model for int8 (quantization-aware training)."""
    from edgefer_train.run import Run

    work = Run(run_folder)
    work.model(work.float)
    dataset = _dataset(data)
    from edgefer_train.quantize import quantize as fine_tune

    fine_tune(work, dataset)
    click.echo(f"{run_folder}: quantized; next: edgefer convert --run {run_folder}", err=True)


@main.command()
@run_option
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder or .zip for the model bundle.")
def convert(run_folder: Path, data: Path | None, out: Path) -> None:
    """Write the model bundle, unless int8 costs too much accuracy."""
    from edgefer_train.run import Run

    work = Run(run_folder)
    work.model(work.qat)
    dataset = _dataset(data)
    from edgefer.inspection import show
    from edgefer_convert.convert import convert as to_bundle

    show(to_bundle(work, dataset, out))


@main.command()
@click.argument("bundle")
@data_option
@click.option("--format", "format_", type=FORMATS, default="int8", show_default=True)
@json_option
def evaluate(bundle: str, data: Path | None, format_: str, as_json: bool) -> None:
    """Measure a model bundle on PrivateTest."""
    from edgefer.bundle import open_bundle

    opened = open_bundle(bundle)
    dataset = _dataset(data)
    from edgefer.inspection import show_scores
    from edgefer.messages import to_json
    from edgefer_train.evaluate import evaluate as measure

    scores = measure(opened, format_, dataset)
    click.echo(to_json(scores)) if as_json else show_scores({format_: scores})


@main.command()
@click.argument("bundle")
@json_option
def inspect(bundle: str, as_json: bool) -> None:
    """Show what a model bundle holds and how it was measured."""
    from edgefer.bundle import open_bundle
    from edgefer.inspection import show
    from edgefer.manifest import write_manifest

    opened = open_bundle(bundle)
    if as_json:
        click.echo(write_manifest(opened.manifest), nl=False)
    else:
        show(opened)


@main.command()
@click.argument("bundle", default="small")
@click.option(
    "--camera", help="Also time each frame of file:PATH or demo:, and the daemon's start on it."
)
@click.option("--short", is_flag=True, help="One second instead of ten; says so.")
@json_option
def bench(bundle: str, camera: str | None, short: bool, as_json: bool) -> None:
    """Time a model bundle on this machine."""
    from edgefer.bundle import open_bundle
    from edgefer.messages import to_json
    from edgefer_device import bench as benches

    done = benches.bench(open_bundle(bundle), camera, seconds=1.0 if short else 10.0)
    click.echo(to_json(done) if as_json else benches.describe(done, short))


def _dataset(data: Path | None) -> Dataset:
    from edgefer_train import fer2013

    return fer2013.load(data)


if __name__ == "__main__":
    sys.exit(main())
