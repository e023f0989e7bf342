"""The `edgefer` command: each verb parses, builds objects, calls and prints.

Verbs import their stage when they are called, so that a device never loads
what only training needs.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer import __version__
from edgefer.errors import EdgeferError, GateFailed, MissingExtra
from edgefer.notices import shown_plainly

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgefer.bundle import Bundle
    from edgefer.preprocess import Pixels, Preprocess
    from edgefer_convert.request import Request
    from edgefer_train.candidate import Facts
    from edgefer_train.dataset import Dataset

FOLDER = click.Path(path_type=Path)
FORMATS = click.Choice(
    ["int8", "onnx-int8", "float16", "onnx", "onnx-symmetric", "mobile", "keras", "qat", "float"]
)
PIXELS = click.Choice(["0..1", "-1..1", "0..255"])
DETECTORS = click.Choice(["haar", "blazeface"])

data_option = click.option(
    "--data",
    type=FOLDER,
    envvar="EDGEFER_DATA",
    help="Faces: the folder with fer2013.npz or fer2013.csv, train/ and test/, or one a class.",
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
        "train": {
            "tensorflow",
            "tf_keras",
            "tensorflow_model_optimization",
            "tf2onnx",
            "onnx",
            "matplotlib",
        },
        "device": {"aiohttp", "aiomqtt", "ai_edge_litert", "cryptography"},
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
@click.option("--camera", help="auto: v4l2: picamera2: rtsp://... file:PATH demo:")
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
@click.option(
    "--annotate",
    type=FOLDER,
    help="Also write each picture with its faces framed and named: party.annotated.jpg.",
)
@json_option
def predict(
    images: tuple[Path, ...],
    detector: str | None,
    model: str | None,
    annotate: Path | None,
    as_json: bool,
) -> None:
    """Read the expressions in pictures."""
    from edgefer.messages import to_json
    from edgefer_device.annotate import targets, write_annotated
    from edgefer_device.predict import describe, predictions

    written = targets(images, annotate) if annotate else {}
    for prediction in predictions(images, detector, model):
        click.echo(to_json(prediction) if as_json else describe(prediction))
        if written:
            write_annotated(prediction, written[Path(prediction.image)])


@main.command()
@click.option("--recipe", "name", default="small", help="A shipped recipe's name or a TOML file.")
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder for the training.")
@click.option("--resume", is_flag=True, help="Go on with the training in --out.")
def train(name: str, data: Path | None, out: Path, resume: bool) -> None:
    """Train a float model."""
    from edgefer_train.recipe import load_recipe

    recipe = load_recipe(name)
    dataset = _dataset(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_train.fit import fit

    done = fit(recipe, Path(name).stem, dataset, out, resume)
    click.echo(f"{done.folder}: trained; next: edgefer quantize --run {done.folder}", err=True)


@main.command()
@run_option
@data_option
@click.option("--out", type=FOLDER, required=True, help="The .npz file to write.")
def logits(run_folder: Path, data: Path | None, out: Path) -> None:
    """Save what a trained model says of Training, for a recipe's [distill] teachers."""
    from edgefer_train.run import Run

    work = Run(run_folder)
    recipe = work.record().recipe
    dataset = _dataset(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_train.teachers import save_logits

    save_logits(work, dataset, out)
    click.echo(f"{out}: logits of Training; name it under [distill] teachers", err=True)


@main.command()
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


@main.command()
@run_option
@data_option
def quantize(run_folder: Path, data: Path | None) -> None:
    """Fine-tune a trained model for int8 (quantization-aware training)."""
    from edgefer_train.run import Run

    work = Run(run_folder)
    work.model(work.float)
    recipe = work.record().recipe
    dataset = _dataset(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_train.quantize import quantize as fine_tune

    fine_tune(work, dataset)
    click.echo(f"{run_folder}: quantized; next: edgefer convert --run {run_folder}", err=True)


@main.command()
@click.argument("model", required=False, type=FOLDER)
@click.option("--run", "run_folder", type=FOLDER, help="Folder of a training, in place of MODEL.")
@data_option
@click.option("--out", type=FOLDER, required=True, help="Folder or .zip for the model bundle.")
@click.option(
    "--labels",
    help="MODEL's outputs in order, a,b,c or a file; or the label set of a run that has several.",
)
@click.option("--formats", help="a,b or all; default: int8,onnx,onnx-int8.")
@click.option("--ptq", is_flag=True, help="Quantize a run after training, not by its qat model.")
@click.option("--representative", type=FOLDER, help=".npz of Training pictures to quantize by.")
@click.option("--pixels", type=PIXELS, default="0..1", help="How MODEL saw black..white.")
@click.option("--split", default="official", help="Of the data, for MODEL: official or 72/8/20.")
@click.option("--gate", type=FOLDER, help="TOML file whose [gate] sets limits.")
@click.option("--allow", metavar="CHECK", help="Let one failed check pass; wants --because.")
@click.option("--because", metavar="TEXT", help="Why; the bundle tells it with your name.")
def convert(
    model: Path | None, run_folder: Path | None, data: Path | None, out: Path, **asked: Any
) -> None:
    """Write the model bundle of a run, or of a .h5, .keras or .onnx MODEL made elsewhere.

    Each format is measured on PrivateTest by its own runtime; where int8 costs too much,
    nothing is written.
    """
    if (model is None) == (run_folder is None):
        raise click.UsageError("name either a MODEL or --run FOLDER")
    from edgefer.inspection import show, show_gate
    from edgefer.manifest import Gate
    from edgefer_convert.request import request_of

    labels, pixels, split = (asked.pop(name) for name in ("labels", "pixels", "split"))
    request = request_of(**asked)
    try:
        if run_folder:
            show(_convert_run(run_folder, data, out, labels, request))
        elif model:
            show(_convert_file(model, data, out, (labels, pixels, split), request))
    except GateFailed as failed:
        if isinstance(failed.verdict, Gate):
            show_gate(failed.verdict)
        raise


def _convert_run(
    folder: Path, data: Path | None, out: Path, labels: str | None, request: Request
) -> Bundle:
    from edgefer_train.run import Run

    work = Run(folder)
    work.model(work.float if request.ptq else work.qat)
    recipe = work.record().recipe
    dataset = _dataset(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_convert.convert import convert as to_bundle

    return to_bundle(work, dataset, out, labels, request)


def _convert_file(
    model: Path, data: Path | None, out: Path, how: tuple[str | None, str, str], request: Request
) -> Bundle:
    labels, pixels, split = how
    from edgefer_convert.brought import bring, label_set_of, read_labels

    brought = bring(model, pixels)
    names = read_labels(labels, brought.outputs, model)
    dataset = _dataset(data, label_set_of(names), split, brought.side)
    from edgefer_convert.convert import convert_file

    return convert_file(brought, names, dataset, out, request)


@main.command()
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
    from edgefer_train.candidate import open_candidate, require_format

    candidate = open_candidate(model, labels)
    format_ = require_format(candidate, format_)
    from edgefer.inspection import show_scores
    from edgefer.messages import to_json
    from edgefer_device.mood import MoodSettings
    from edgefer_train.evaluate import evaluate as measure
    from edgefer_train.report import room_for_report, write_report

    with room_for_report(out) as folder:
        facts = candidate.facts
        dataset = _dataset(data, facts.label_set, facts.split, facts.side)
        done = measure(candidate, dataset, format_, MoodSettings().threshold)
        if folder:
            done = write_report(folder, done, candidate.fits, dataset if faces else None)
    click.echo(to_json(done)) if as_json else show_scores({format_: done})
    if not done.own_data:
        click.echo(f"edgefer: {done.doubt}", err=True)
    if out:
        click.echo(f"{out}: open {out / 'report.html'} in a browser", err=True)


@main.command()
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
    from edgefer_train.candidate import open_candidate

    candidates = [open_candidate(model) for model in models]
    from edgefer.messages import to_json
    from edgefer_train.compare import compare as side_by_side
    from edgefer_train.comparison_charts import room_for_comparison, write_comparison
    from edgefer_train.comparison_table import show_comparison

    with room_for_comparison(out) as folder:
        done = side_by_side(candidates, _shared(data) if data else None)
        if folder:
            done = write_comparison(folder, done, candidates)
    click.echo(to_json(done)) if as_json else show_comparison(done)
    if out:
        click.echo(f"{out}: {', '.join(done.files)}", err=True)


@main.command()
@click.argument("bundle")
@json_option
def inspect(bundle: str, as_json: bool) -> None:
    """Show what a model bundle holds and how it was measured."""
    from edgefer.bundle import open_bundle
    from edgefer.graph_view import show_graph
    from edgefer.inspection import show
    from edgefer.manifest import write_manifest

    opened = open_bundle(bundle)
    if as_json:
        click.echo(write_manifest(opened.manifest), nl=False)
    else:
        show(opened)
        show_graph(opened)


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


@main.command()
@json_option
def cameras(as_json: bool) -> None:
    """List the cameras of this machine."""
    from edgefer.messages import to_json
    from edgefer_device.cameras import discovery

    found = discovery.find_cameras()
    if as_json:
        click.echo("\n".join(map(to_json, found)))
    else:
        discovery.show(found)
    if not any(camera.hardware for camera in found):
        click.echo(f"edgefer: {discovery.HELP}", err=True)


@main.command()
@click.option("--config", type=FOLDER, help="The daemon's TOML file; without, its defaults.")
@json_option
def doctor(config: Path | None, as_json: bool) -> None:
    """Say what keeps the daemon from running here; exit status 1 if anything does."""
    from edgefer.messages import to_json
    from edgefer_device.doctor.diagnosis import describe, diagnose

    done = diagnose(config)
    click.echo(to_json(done) if as_json else describe(done.checks))
    if not done.well:
        sys.exit(1)


@main.command()
@click.argument("model", metavar="BUNDLE|FILE")
@click.option("--out", type=FOLDER, help="Write the compiled file here, if the compiler is there.")
@click.option("--strict", is_flag=True, help="Exit status 1 unless all runs on the Edge TPU.")
@json_option
def edgetpu(model: str, out: Path | None, strict: bool, as_json: bool) -> None:
    """Tell what the Edge TPU would run of an int8 model; compile it where the compiler is."""
    from edgefer.messages import to_json
    from edgefer_convert import edgetpu_outcome

    done = edgetpu_outcome.find_out(model, out)
    click.echo(to_json(done)) if as_json else edgetpu_outcome.show_outcome(done)
    if strict:
        done.require_all()


@main.command()
@click.argument("bundle")
@data_option
@click.option("--faces", type=click.IntRange(min=1), help="Only so many; all of PrivateTest else.")
@json_option
def parity(bundle: str, data: Path | None, faces: int | None, as_json: bool) -> None:
    """Compare all formats of a bundle, and the settings of their runtimes, on the same faces.

    Without --data the faces are views of the demo portrait.
    """
    from edgefer.bundle import open_bundle
    from edgefer.messages import to_json
    from edgefer_convert.parity import measure
    from edgefer_convert.parity_view import show_parity

    opened = open_bundle(bundle)
    chips, source = _faces(opened.manifest.input.preprocess, data, "PrivateTest", faces)
    done = measure(opened, chips, source)
    click.echo(to_json(done)) if as_json else show_parity(done)
    done.require_passed()


@main.command()
@click.argument("model", metavar="RUN|BUNDLE")
@data_option
@click.option("--faces", type=click.IntRange(min=10), default=200, show_default=True)
@click.option("--labels", help="Head of a run that has several; the recipe's own unless named.")
@click.option("--out", type=FOLDER, help="Draw it as a PNG file.")
@json_option
def explain(
    model: str,
    data: Path | None,
    faces: int,
    labels: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Tell which layers of an int8 model cost most accuracy, on faces of PublicTest."""
    from edgefer.messages import to_json
    from edgefer_convert import explain_view
    from edgefer_convert.explain_source import open_source

    source = open_source(model, labels)
    done = source.explained(*_faces(source.preprocess, data, "PublicTest", faces))
    click.echo(to_json(done)) if as_json else explain_view.show_explanation(done)
    if out:
        explain_view.write_picture(done, out)


@main.command()
@click.argument("out", type=FOLDER)
def keys(out: Path) -> None:
    """Make a pair of keys for signing: OUT, which stays secret, and OUT.pub."""
    from edgefer.keys import make_keys, public_of

    made = make_keys(out)
    click.echo(f"{out}: the secret key {made}; {public_of(out)}: for those who verify", err=True)


@main.command()
@click.argument("bundle")
@click.option("--key", type=FOLDER, required=True, help="The secret key, of: edgefer keys.")
def sign(bundle: str, key: Path) -> None:
    """Sign a model bundle; an older signature is replaced."""
    from edgefer.signature import sign as sign_bundle

    click.echo(f"{bundle}: signed by the key {sign_bundle(bundle, key)}", err=True)


@main.command()
@click.argument("bundle")
@click.option("--key", type=FOLDER, required=True, help="The public key, FILE.pub.")
def verify(bundle: str, key: Path) -> None:
    """Check that a model bundle is what the owner of a key signed; exit status 1 if not."""
    from edgefer.signature import verify as verify_bundle

    opened = verify_bundle(bundle, key)
    files = len(opened.manifest.files)
    click.echo(f"{bundle}: manifest and {files} files are as signed by {key}", err=True)


@main.group("data")
def data_group() -> None:
    """Look at a dataset before it is trained on."""


@data_group.command()
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
    from edgefer_train.checktable import show
    from edgefer_train.datacheck import read_and_check

    reading, found = read_and_check(where, labels, split)
    click.echo(to_json(found)) if as_json else show(found)
    if out:
        from edgefer_train.checksheet import write_check

        write_check(found, reading.faces.images, out)
        click.echo(f"{out}: check.json and check.png", err=True)
    found.require_usable()


@data_group.command()
@click.option("--recipe", "name", default="small", help="A shipped recipe's name or a TOML file.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True)
@json_option
def throughput(name: str, seconds: float, as_json: bool) -> None:
    """Time the input pipeline against a fit that is fed from memory."""
    from edgefer.messages import to_json
    from edgefer_train.recipe import load_recipe

    recipe = load_recipe(name)
    from edgefer_train import throughput as benchmark

    done = benchmark.throughput(recipe, Path(name).stem, seconds)
    click.echo(to_json(done) if as_json else benchmark.describe(done))


def _shared(data: Path) -> Callable[[Facts], Dataset]:
    """Return what gives each model its view of the data, read once where they see the same."""
    load = functools.cache(functools.partial(_dataset, data))
    return lambda facts: load(facts.label_set, facts.split, facts.side)


@main.command()
@click.option("--config", type=FOLDER, help="The daemon's TOML file, which names its state folder.")
@click.option("--days", type=click.IntRange(min=1), help="Only the last so many days.")
@click.option("--csv", "table", type=FOLDER, help="Write every minute to a CSV file.")
@click.option("--plot", type=FOLDER, help="Draw it as an SVG file.")
@click.option("--export", is_flag=True, help="Print every minute as a line of JSON.")
@click.option("--delete", is_flag=True, help="Delete all of it for good.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def history(
    config: Path | None,
    days: int | None,
    table: Path | None,
    plot: Path | None,
    export: bool,
    delete: bool,
    yes: bool,
) -> None:
    """Show, write out or delete the history of moods."""
    from edgefer_device import history_files as files
    from edgefer_device import history_report as reports

    if delete and (days or table or plot or export):
        raise click.UsageError("--delete deletes all of it: give it without the other options")
    if plot is not None:
        files.check_plot(plot)
    store = files.find_store(config)
    if delete:
        if not yes:
            click.confirm(f"Delete the history in {store.path} for good?", abort=True, err=True)
        click.echo(f"{store.path}: entries deleted for good: {store.delete()}", err=True)
        return
    held = files.entries(store, days)
    if table is not None:
        files.write_csv(table, held)
    if plot is not None:
        files.write_plot(plot, held)
    if export:
        for line in reports.to_json_lines(held):
            click.echo(line)
    elif table is None and plot is None:
        reports.show(held)


def _faces(
    preprocess: Preprocess, data: Path | None, part: str, count: int | None
) -> tuple[Pixels, str]:
    """Return face chips for a measurement and where they are from: a part of the data, or the
    demo portrait where none is named."""
    if data is None:
        from edgefer_device.demo_faces import portrait_chips

        return portrait_chips(count or 50, preprocess), "views of the demo portrait"
    from edgefer_train.dataset import Usage

    dataset = _dataset(data, side=preprocess.size)
    return dataset.part(Usage[part]).images[:count], f"{dataset.name}, {part}"


def _dataset(
    data: Path | None, labels: str = "fer2013", split: str = "official", side: int = 48
) -> Dataset:
    from edgefer_train.sources import load

    return load(data, labels, split, side)


if __name__ == "__main__":
    sys.exit(main())
