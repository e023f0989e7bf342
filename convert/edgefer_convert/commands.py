"""The verb `convert`, and those of `edgefer model` that analyse conversions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.options import (
    FILE,
    FOLDER,
    PATH,
    data_option,
    grouped,
    json_option,
    labels_option,
    plot_option,
)
from edgefer_convert.formats.accelerators import ETHOS_U, ROCKCHIP

if TYPE_CHECKING:
    from edgefer.bundle import Bundle
    from edgefer.preprocess import Pixels, Preprocess
    from edgefer_convert.analysis.sensitivity import Int8Model
    from edgefer_convert.compilation import CompileOptions
    from edgefer_convert.request import ModelOptions, Request
    from edgefer_train.data.dataset import Dataset

log = logging.getLogger(__name__)

FACES = 200
"""Faces of PublicTest for a sensitivity analysis, by default."""
PIXELS = click.Choice(["0..1", "-1..1", "0..255"])
ACCELERATORS = click.Choice([*ETHOS_U, *ROCKCHIP], case_sensitive=False)


@click.command()
@click.argument("model", required=False, type=PATH)
@click.option("--run", "run_folder", type=FOLDER, help="Folder of a training run, not MODEL.")
@data_option
@click.option("--out", type=PATH, required=True, help="Folder or .zip for the model bundle.")
@grouped(
    "options",
    "edgefer_convert.request:ModelOptions",
    click.option(
        "--labels",
        metavar="LABELS",
        help="MODEL's outputs, a,b,c or a file; a run's first head.",
    ),
    click.option(
        "--pixels", type=PIXELS, default="0..1", show_default=True, help="MODEL's input range."
    ),
    click.option(
        "--split", default="official", show_default=True, help="For MODEL: official or 72/8/20."
    ),
)
@grouped(
    "request",
    "edgefer_convert.request:request_of",
    click.option("--formats", metavar="NAMES", help="a,b or all; default: int8,onnx,onnx-int8."),
    click.option("--name", help="Of the bundle; default: the recipe's or the file's."),
    click.option("--ptq", is_flag=True, help="Use post-training quantization for a run."),
    click.option("--representative", type=FILE, help=".npz of Training images to quantize by."),
    click.option("--calibration", type=FOLDER, help="Also write those images as arrays."),
    click.option("--appearance", type=FILE, help="TOML of the labels' colours and names."),
    click.option("--gate", type=FILE, help="TOML file whose [gate] sets limits."),
    click.option(
        "--allow", metavar="CHECK", multiple=True, help="Allow a failed check; repeatable."
    ),
    click.option(
        "--because", metavar="TEXT", multiple=True, help="Reason, kept with your name; repeatable."
    ),
)
@click.option("--sensitivity", is_flag=True, help="Show which layers lose accuracy in int8.")
def convert(
    model: Path | None,
    run_folder: Path | None,
    data: Path | None,
    out: Path,
    options: ModelOptions,
    request: Request,
    sensitivity: bool,
) -> None:
    """Convert a run or model file to a bundle.

    MODEL is a .h5, .keras or .onnx file or a SavedModel's folder. Each format is measured on
    PrivateTest by its own runtime; where int8 loses too much, nothing is written. Of a MODEL
    without --data only the files are judged.
    """
    if (model is None) == (run_folder is None):
        raise click.UsageError("name either a MODEL or --run FOLDER")
    from dataclasses import replace

    from edgefer.errors import GateFailed
    from edgefer.inspection import show, show_gate
    from edgefer.manifest import Gate

    if sensitivity:
        request = replace(request, on_measured=_show_sensitivity)
    try:
        if run_folder:
            from edgefer_convert.conversion import convert_folder

            show(convert_folder(run_folder, data, out, options.labels, request))
        elif model:
            show(_convert_model(model, data, out, options, request))
    except GateFailed as failed:
        if isinstance(failed.verdict, Gate):
            show_gate(failed.verdict)
        raise


def _convert_model(
    path: Path, data: Path | None, out: Path, options: ModelOptions, request: Request
) -> Bundle:
    from edgefer_convert.conversion import convert_model
    from edgefer_convert.importers.external_model import import_model, load_dataset, read_labels

    model = import_model(path, options.pixels)
    labels = read_labels(options.labels, model)
    dataset = load_dataset(labels, data, options.split, model)
    return convert_model(model, labels, dataset, out, request)


def _show_sensitivity(bundle: Bundle, dataset: Dataset) -> None:
    """Print which layers cost most, on faces of PublicTest."""
    from edgefer_convert.analysis.sensitivity import int8_model_of, measure_sensitivity
    from edgefer_convert.analysis.sensitivity_view import show_sensitivity
    from edgefer_train.data.dataset import Usage

    faces = dataset.part(Usage.PublicTest).images[:FACES]
    source = f"{dataset.name}, PublicTest"
    show_sensitivity(measure_sensitivity(int8_model_of(bundle), faces, source))


@click.command()
@click.argument("model", metavar="BUNDLE|FILE")
@click.option("--out", type=FILE, help="Write the compiled file, if the compiler is installed.")
@click.option("--strict", is_flag=True, help="Exit status 1 unless all of it runs on the Edge TPU.")
@json_option
def edgetpu(model: str, out: Path | None, strict: bool, as_json: bool) -> None:
    """Check an int8 model for the Edge TPU; compile it."""
    from edgefer.messages import to_json
    from edgefer_convert.formats.edgetpu.support import check_model, show_result

    result = check_model(model, out)
    say(to_json(result)) if as_json else show_result(result)
    if strict:
        result.require_all()


@click.command("compile")
@click.argument("bundle")
@click.option("--out", type=PATH, required=True, help="Folder or .zip for the new bundle.")
@grouped(
    "options",
    "edgefer_convert.compilation:CompileOptions",
    click.option(
        "--target", type=ACCELERATORS, metavar="NAME", required=True, help="The accelerator."
    ),
    data_option,
    click.option(
        "--faces",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        help="Of PublicTest, to simulate.",
    ),
    click.option(
        "--python", type=FILE, envvar="EDGEFER_RKNN_PYTHON", help="Python with rknn-toolkit2."
    ),
)
def compile(  # the verb's own name
    bundle: str, out: Path, options: CompileOptions
) -> None:
    """Compile a bundle for Arm Ethos-U or Rockchip's NPU.

    Writes a new bundle with one more file, made by the accelerator's own compiler. NAME is one of
    ethos-u55-32 to -256, ethos-u65-256 and -512, ethos-u85-128 to -2048; rk3562, rk3566, rk3568,
    rk3576, rk3588.
    """
    from edgefer.inspection import show
    from edgefer_convert.compilation import compile_bundle

    done = compile_bundle(bundle, out, options)
    show(done)
    for file in done.manifest.files.values():
        report = file.compiled
        if report and report.accelerator == options.target and report.on_cpu:
            log.warning("%s runs %d of them on the CPU", report.summary, report.on_cpu)


@click.command()
@click.argument("bundle")
@data_option
@click.option(
    "--faces", type=click.IntRange(min=1), help="Only so many; default: all of PrivateTest."
)
@labels_option
@json_option
def parity(
    bundle: str, data: Path | None, faces: int | None, labels: str | None, as_json: bool
) -> None:
    """Compare the outputs of a bundle's formats and runtimes.

    Without --data, the faces are views of the demo portrait.
    """
    from edgefer.bundle import open_bundle
    from edgefer.messages import to_json
    from edgefer_convert.analysis.parity import measure_parity
    from edgefer_convert.analysis.parity_view import show_parity

    opened = open_bundle(bundle)
    crops = _faces(opened.manifest.input.preprocess, data, "PrivateTest", faces)
    result = measure_parity(opened, *crops, labels)
    say(to_json(result)) if as_json else show_parity(result)
    result.require_passed()


@click.command()
@click.argument("model", metavar="RUN|BUNDLE")
@data_option
@click.option("--faces", type=click.IntRange(min=10), default=FACES, show_default=True)
@labels_option
@plot_option
@json_option
def sensitivity(
    model: str,
    data: Path | None,
    faces: int,
    labels: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Show which layers lose accuracy in int8, on PublicTest."""
    from edgefer.files import write_output
    from edgefer.messages import to_json
    from edgefer_convert.analysis.sensitivity import measure_sensitivity
    from edgefer_convert.analysis.sensitivity_view import draw_sensitivity, show_sensitivity

    int8 = _open_int8_model(model, labels)
    result = measure_sensitivity(int8, *_faces(int8.preprocess, data, "PublicTest", faces))
    say(to_json(result)) if as_json else show_sensitivity(result)
    if plot:
        write_output(plot, draw_sensitivity(result))


def _open_int8_model(name: str, labels: str | None) -> Int8Model:
    """Open the int8 file of a bundle, or of a run's folder."""
    from edgefer.bundle import open_bundle
    from edgefer_convert.analysis.sensitivity import int8_model_of
    from edgefer_train.run import run_at

    run = run_at(name)
    if run is None:
        return int8_model_of(open_bundle(name), labels)
    # Whatever is wrong with the run is reported before TensorFlow loads, which takes seconds.
    for stage in (run.float, run.qat):
        run.model(stage)
    from edgefer_convert.conversion import int8_model_of_run

    return int8_model_of_run(run, labels)


def _faces(
    preprocess: Preprocess, data: Path | None, part: str, count: int | None
) -> tuple[Pixels, str]:
    """Return face crops and their source: a part of the data, or the demo portrait."""
    if data is None:
        from edgefer.portrait import portrait_crops

        return portrait_crops(count or 50, preprocess), "views of the demo portrait"
    from edgefer_train.data.dataset import Usage
    from edgefer_train.data.sources import labels_in, read

    reading = read(data, labels_in(data), preprocess.size)
    dataset = reading.dataset(reading.own_split)
    return dataset.part(Usage[part]).images[:count], f"{dataset.name}, {part}"
