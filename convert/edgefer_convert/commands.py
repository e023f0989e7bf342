"""The verbs of conversion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.options import FOLDER, data_option, json_option

if TYPE_CHECKING:
    from edgefer.bundle import Bundle
    from edgefer.preprocess import Pixels, Preprocess
    from edgefer_convert.request import Request
    from edgefer_train.data.dataset import Dataset

EXPLAINED = 200
"""Faces of PublicTest by which layers are explained, unless told."""
PIXELS = click.Choice(["0..1", "-1..1", "0..255"])


@click.command()
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
@click.option("--explain", is_flag=True, help="Tell which layers int8 costs most in.")
def convert(
    model: Path | None, run_folder: Path | None, data: Path | None, out: Path, **asked: Any
) -> None:
    """Write the model bundle of a run, or of a MODEL made elsewhere: .h5, .keras, .onnx or a
    SavedModel's folder.

    Each format is measured on PrivateTest by its own runtime; where int8 costs too much,
    nothing is written.
    """
    if (model is None) == (run_folder is None):
        raise click.UsageError("name either a MODEL or --run FOLDER")
    from edgefer.errors import GateFailed
    from edgefer.inspection import show, show_gate
    from edgefer.manifest import Gate
    from edgefer_convert.request import request_of

    labels, pixels, split = (asked.pop(name) for name in ("labels", "pixels", "split"))
    asked["explain"] = _show_explanation if asked["explain"] else None
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
    from edgefer_train.data.sources import load
    from edgefer_train.run import Run

    work = Run(folder)
    work.model(work.float if request.ptq else work.qat)
    recipe = work.record().recipe
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_convert.conversion import convert as to_bundle

    return to_bundle(work, dataset, out, labels, request)


def _convert_file(
    model: Path, data: Path | None, out: Path, how: tuple[str | None, str, str], request: Request
) -> Bundle:
    labels, pixels, split = how
    from edgefer_convert.importers.external_model import bring, dataset_for, read_labels

    brought = bring(model, pixels)
    names = read_labels(labels, brought.outputs, model)
    dataset = dataset_for(names, data, split, brought.side, model)
    from edgefer_convert.conversion import convert_file

    return convert_file(brought, names, dataset, out, request)


def _show_explanation(bundle: Bundle, dataset: Dataset) -> None:
    """Print which layers cost most, on faces of PublicTest."""
    from edgefer_convert.analysis.sensitivity_source import source_of
    from edgefer_convert.analysis.sensitivity_view import show_explanation
    from edgefer_train.data.dataset import Usage

    faces = dataset.part(Usage.PublicTest).images[:EXPLAINED]
    show_explanation(source_of(bundle).explained(faces, f"{dataset.name}, PublicTest"))


@click.command()
@click.argument("bundle")
@click.option("--seconds", type=click.FloatRange(min=0.05), default=2.0, show_default=True)
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@json_option
def formats(bundle: str, seconds: float, markdown: bool, as_json: bool) -> None:
    """Compare a bundle's formats: bytes, what was measured of each, and its time here.

    Each format is timed for --seconds, one face at a time, on one thread.
    """
    from edgefer.bundle import open_bundle
    from edgefer.messages import to_json
    from edgefer_convert.analysis import format_table as comparison
    from edgefer_device.bench.components import time_classifier
    from edgefer_device.bench.loops import LOOPS, Plan

    opened = open_bundle(bundle)
    side = opened.manifest.input.preprocess.size
    plan = Plan(seconds / LOOPS, short=True)
    done = comparison.compare(opened, lambda one: time_classifier(one, side, plan).p50)
    if as_json or markdown:
        click.echo(to_json(done) if as_json else comparison.to_markdown(done), nl=as_json)
    else:
        comparison.show_comparison(done)


@click.command()
@click.argument("model", metavar="BUNDLE|FILE")
@click.option("--out", type=FOLDER, help="Write the compiled file here, if the compiler is there.")
@click.option("--strict", is_flag=True, help="Exit status 1 unless all runs on the Edge TPU.")
@json_option
def edgetpu(model: str, out: Path | None, strict: bool, as_json: bool) -> None:
    """Tell what the Edge TPU would run of an int8 model; compile it where the compiler is."""
    from edgefer.messages import to_json
    from edgefer_convert.formats.edgetpu import outcome as edgetpu_outcome

    done = edgetpu_outcome.find_out(model, out)
    click.echo(to_json(done)) if as_json else edgetpu_outcome.show_outcome(done)
    if strict:
        done.require_all()


@click.command()
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
    from edgefer_convert.analysis.parity import measure
    from edgefer_convert.analysis.parity_view import show_parity

    opened = open_bundle(bundle)
    chips, source = _faces(opened.manifest.input.preprocess, data, "PrivateTest", faces)
    done = measure(opened, chips, source)
    click.echo(to_json(done)) if as_json else show_parity(done)
    done.require_passed()


@click.command()
@click.argument("model", metavar="RUN|BUNDLE")
@data_option
@click.option("--faces", type=click.IntRange(min=10), default=EXPLAINED, show_default=True)
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
    from edgefer_convert.analysis import sensitivity_view as explain_view
    from edgefer_convert.analysis.sensitivity_source import open_source

    source = open_source(model, labels)
    done = source.explained(*_faces(source.preprocess, data, "PublicTest", faces))
    click.echo(to_json(done)) if as_json else explain_view.show_explanation(done)
    if out:
        explain_view.write_picture(done, out)


def _faces(
    preprocess: Preprocess, data: Path | None, part: str, count: int | None
) -> tuple[Pixels, str]:
    """Return face chips for a measurement and where they are from: a part of the data, or the
    demo portrait where none is named."""
    if data is None:
        from edgefer_device.bench.demo_faces import portrait_chips

        return portrait_chips(count or 50, preprocess), "views of the demo portrait"
    from edgefer_train.data.dataset import Usage
    from edgefer_train.data.sources import load

    dataset = load(data, side=preprocess.size)
    return dataset.part(Usage[part]).images[:count], f"{dataset.name}, {part}"
