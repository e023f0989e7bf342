"""From a run, or an external model, to a bundle: convert, measure, check, write."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import which

from msgspec.structs import replace as changed

from edgefer.affine import Affine
from edgefer.appearance import require_labels
from edgefer.bundle import Bundle, describe, write_bundle
from edgefer.errors import ConversionError, EdgeferError, SettingsError
from edgefer.gate_limits import UNLIMITED, GateLimits
from edgefer.heads import Calibration, Ensemble, Head, decoder_of
from edgefer.labels import LABEL_SETS
from edgefer.manifest import SCHEMA_VERSION, File, Gate, Input, Manifest
from edgefer.preprocess import PIXEL, Preprocess
from edgefer_convert.analysis.sensitivity import Int8Model
from edgefer_convert.formats import onnx_int8, tflite
from edgefer_convert.formats.edgetpu.compiler import INSTALL_HINT, PROGRAM
from edgefer_convert.formats.edgetpu.support import edgetpu_entry
from edgefer_convert.formats.mobile import to_mobile
from edgefer_convert.formats.representative import representative, write_calibration
from edgefer_convert.formats.space_to_depth import with_space_to_depth
from edgefer_convert.formats.table import DEFAULT, FORMATS, WITHOUT_IMAGES, select_formats
from edgefer_convert.gate.checks import require_known, require_passed, run_checks
from edgefer_convert.gate.measurements import (
    calibrate,
    corruption_drops,
    measure_formats,
    plurality_accuracy,
)
from edgefer_convert.importers.external_model import source_of_model
from edgefer_convert.importers.keras_model import logits_of
from edgefer_convert.importers.run import load_heads, select_head, source_of_run
from edgefer_convert.importers.source import ExternalModel, ImageSource, Source
from edgefer_convert.model_card import with_texts
from edgefer_convert.request import Request
from edgefer_train.data.dataset import Dataset
from edgefer_train.data.sources import load
from edgefer_train.run import Run

log = logging.getLogger(__name__)


def convert_folder(
    folder: Path,
    data: Path | None,
    out: Path,
    labels: str | None = None,
    request: Request | None = None,
) -> Bundle:
    """Convert the run in a folder with the dataset that it was trained on; see `convert_run`."""
    run = Run(folder)
    run.model(run.float if request and request.ptq else run.qat)
    recipe = run.record().recipe
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    return convert_run(run, dataset, out, labels, request)


def convert_run(
    run: Run,
    dataset: Dataset,
    out: Path,
    labels: str | None = None,
    request: Request | None = None,
) -> Bundle:
    """Convert a run's models and write the bundle, unless its gate fails.

    `labels` names the head of files that may have one only; the recipe's own unless named.
    Raises `RunError` when the run is not finished, `DatasetError` when `dataset` is not
    the one it was trained on and `GateFailed` when a format loses too much: an older
    bundle at `out` then stays as it is.
    """
    request, recipe = request or Request(), run.record().recipe
    request = replace(request, limits=request.limits or recipe.gate)
    run.require_data(dataset)
    images = _representative(dataset, recipe.side, request)
    source = source_of_run(run, select_head(run, labels), request.ptq, images)
    return _to_bundle(source, dataset, out, request, images)


def convert_model(
    model: ExternalModel,
    labels: Sequence[str],
    dataset: Dataset | None,
    out: Path,
    request: Request | None = None,
) -> Bundle:
    """Convert an external float model, its outputs named in order by `labels`.

    Without a dataset only the files are judged. Raises as `convert_run` does, and
    `ConversionError` for labels that the dataset lacks.
    """
    request = request or Request()
    images = _representative(dataset, model.side, request)
    source = source_of_model(model, labels, dataset, images)
    return _to_bundle(source, dataset, out, request, images)


def int8_model_of_run(run: Run, labels: str | None) -> Int8Model:
    """Return the int8 file of a run, converted in memory; `labels` as for `convert_run`."""
    head, record, outcome = select_head(run, labels), run.record(), run.qat.outcome()
    content = tflite.to_int8(load_heads(run, run.qat, record.heads))
    first, *last = tflite.input_output_affine(content)
    temperatures = outcome.temperature if outcome else {}
    outputs = [
        Head(name, its, affine, Calibration(temperatures.get(name, 1.0)))
        for (name, its), affine in zip(record.heads.items(), last, strict=True)
    ]
    return Int8Model(
        name=record.recipe_name,
        content=content,
        decoder=decoder_of(outputs, head),
        preprocess=Preprocess(size=record.recipe.side),
        affine=first,
        float_logits=logits_of(load_heads(run, run.float, record.heads)),
    )


def _representative(dataset: Dataset | None, side: int, request: Request) -> ImageSource:
    return cache(lambda: representative(dataset, Preprocess(size=side), request.representative))


def _to_bundle(
    source: Source, dataset: Dataset | None, out: Path, request: Request, images: ImageSource
) -> Bundle:
    source = replace(source, name=request.name or source.name)
    supported, origin = _supported(source, request), source.evidence.origin or "a run"
    default = DEFAULT if dataset or request.representative else WITHOUT_IMAGES
    formats = select_formats(request.formats, supported, origin, default)
    if request.on_measured and (dataset is None or "int8" not in formats):
        raise SettingsError(
            "--sensitivity needs the int8 TFLite file and faces; add int8 to --formats, name --data"
        )
    labels = [label for labels in source.heads.values() for label in labels]
    require_labels(request.appearance, labels, "--appearance")
    for exemption in request.exemptions:
        heads = dict.fromkeys(source.heads, formats)
        require_known(exemption.name, heads, request.limits or GateLimits())
    if request.calibration:
        images()  # refused before the conversion, and not behind it
    try:
        bundle = _measured(source, formats, dataset, out, request)
        if request.on_measured and dataset:
            request.on_measured(bundle, dataset)
        require_passed(bundle.manifest.gate)
        _warn_of_undecided(bundle.manifest.gate)
        if request.calibration:
            write_calibration(request.calibration, images())
        return write_bundle(out, *with_texts(bundle))
    except EdgeferError:
        raise
    except OSError as exc:
        raise ConversionError(
            f"{out}: the conversion could not be finished: {exc.strerror or exc}; what was there "
            "before is unharmed"
        ) from exc


def _supported(source: Source, request: Request) -> set[str]:
    """Return the formats that the source can be converted to here."""
    if "int8" not in source.converters:
        return set(source.converters)
    if which(PROGRAM):
        return {*source.converters, "mobile", "edgetpu"}
    if request.requires_edgetpu:
        raise ConversionError(f"--formats edgetpu: {INSTALL_HINT}")
    return {*source.converters, "mobile"}


def _measured(
    source: Source, formats: Sequence[str], dataset: Dataset | None, out: Path, request: Request
) -> Bundle:
    """Make all formats, measure and check them; return the bundle, but for its texts."""
    files: dict[str, bytes] = {}
    for format in (format for format in formats if format in source.converters):
        files[format] = source.converters[format](files)
    bundle = Bundle(out, _draft(source, files, request), files)
    bundle, confusions = calibrate(bundle, dataset) if dataset else (bundle, {})
    edgetpu = edgetpu_entry(
        files.get("int8"), selected="edgetpu" in formats, required=request.requires_edgetpu
    )
    if edgetpu.content is not None:
        files["edgetpu"] = edgetpu.content
    if "int8" in files:
        # After all that other runtimes get of it: it serves the kernels of processors.
        files["int8"] = with_space_to_depth(files["int8"])
    if "mobile" in formats:
        at = bundle.manifest.label_sets.index(source.only)
        files["mobile"] = to_mobile(files["int8"], source.name, bundle.manifest.heads[at], at)
    evidence = changed(source.evidence, edgetpu=edgetpu.summary)
    manifest = changed(bundle.manifest, files=_entries(files, source), evidence=evidence)
    bundle = Bundle(out, manifest, files)
    manifest, found = measure_formats(bundle, dataset, source.logits, confusions, edgetpu.mapped)
    bundle, limits = Bundle(out, manifest, files), request.limits or GateLimits()
    if dataset:
        if limits.corruption_drop < UNLIMITED:
            drops = corruption_drops(bundle, dataset)
            found = tuple(replace(one, corruption_drop=drops[one.head]) for one in found)
        evidence = changed(manifest.evidence, plurality=plurality_accuracy(bundle, dataset))
        manifest = changed(manifest, evidence=evidence)
    return Bundle(out, changed(manifest, gate=run_checks(found, limits, request.exemptions)), files)


def _warn_of_undecided(gate: Gate) -> None:
    if names := ", ".join(check.name for check in gate.undecided):
        log.warning("not enough images to tell: %s; a larger PrivateTest would", names)


def _draft(source: Source, files: Mapping[str, bytes], request: Request) -> Manifest:
    """Return the manifest before anything was measured."""
    dtype, first, last = _quantization(files)
    last = last or (Affine(1.0, 0),) * len(source.heads)
    heads = zip(source.heads.items(), last, strict=True)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=source.name,
        input=Input(
            shape=(source.side, source.side, 1),
            dtype=dtype,
            colour="grey",
            preprocess=Preprocess(size=source.side),
            affine=first,
        ),
        heads=tuple(Head(name, labels, affine) for (name, labels), affine in heads),
        ensemble=Ensemble() if set(source.heads) == set(LABEL_SETS) else None,
        files=_entries(files, source),
        evidence=source.evidence,
        gate=Gate(()),
        licences=dict(source.licences),
        appearance=request.appearance,
    )


def _quantization(files: Mapping[str, bytes]) -> tuple[str, Affine, tuple[Affine, ...]]:
    """Return the input's type and quantization, and each output's; float files have none."""
    for format, affines in (
        ("int8", tflite.input_output_affine),
        ("onnx-int8", onnx_int8.input_output_affine),
    ):
        if format in files:
            first, *last = affines(files[format])
            return "int8", first, tuple(last)
    return "float32", PIXEL, ()


def _entries(files: Mapping[str, bytes], source: Source) -> dict[str, File]:
    present = {name: format for name, format in FORMATS.items() if name in files}
    entries = {
        name: describe(format.path, files[name], format.target) for name, format in present.items()
    }
    if "mobile" in entries and len(source.heads) > 1:
        entries["mobile"] = changed(entries["mobile"], head=source.only)
    return entries
