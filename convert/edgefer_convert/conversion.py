"""From a run, or an external model, to a bundle: convert, measure, check, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from shutil import which

from msgspec.structs import replace as changed

from edgefer.affine import Affine
from edgefer.bundle import Bundle, describe, write_bundle
from edgefer.errors import ConversionError, EdgeferError, SettingsError
from edgefer.manifest import SCHEMA_VERSION, File, Gate, Input, Manifest, Output
from edgefer.preprocess import PIXEL, Preprocess
from edgefer_convert.analysis.sensitivity import Int8Model
from edgefer_convert.formats import onnx_int8, tflite
from edgefer_convert.formats.edgetpu.compiler import INSTALL_HINT, PROGRAM
from edgefer_convert.formats.edgetpu.support import edgetpu_entry
from edgefer_convert.formats.mobile import to_mobile
from edgefer_convert.formats.representative import representative, write_calibration
from edgefer_convert.formats.space_to_depth import with_space_to_depth
from edgefer_convert.formats.table import FORMATS, select_formats
from edgefer_convert.gate.checks import require_known, require_passed, run_checks
from edgefer_convert.gate.measurements import calibrate, measure_formats
from edgefer_convert.importers.external_model import source_of_model
from edgefer_convert.importers.keras_model import logits_of
from edgefer_convert.importers.run import load_head, select_head, source_of_run
from edgefer_convert.importers.source import ExternalModel, ImageSource, Source
from edgefer_convert.model_card import with_texts
from edgefer_convert.request import Request
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.run import Run


def convert_run(
    run: Run,
    dataset: Dataset,
    out: Path,
    labels: str | None = None,
    request: Request | None = None,
) -> Bundle:
    """Convert a run's models and write the bundle, unless its gate fails.

    `labels` chooses the head of a run that has several; the recipe's own unless named.
    Raises `RunError` when the run is not finished, `DatasetError` when `dataset` is not
    the one it was trained on and `GateFailed` when a format loses too much: an older
    bundle at `out` then stays as it is.
    """
    request = request or Request()
    run.require_data(dataset)
    head = select_head(run, labels)
    dataset = dataset.with_labels(head)
    images = _representative(dataset, run.record().recipe.side, request)
    source = source_of_run(run, head, request.ptq, images)
    return _to_bundle(source, dataset, out, request, images)


def convert_model(
    model: ExternalModel,
    labels: Sequence[str],
    dataset: Dataset,
    out: Path,
    request: Request | None = None,
) -> Bundle:
    """Convert an external float model, its outputs named in order by `labels`.

    Raises as `convert_run` does, and `ConversionError` for labels that the dataset lacks.
    """
    request = request or Request()
    images = _representative(dataset, model.side, request)
    source = source_of_model(model, labels, dataset, images)
    return _to_bundle(source, dataset, out, request, images)


def int8_model_of_run(run: Run, labels: str | None) -> Int8Model:
    """Return the int8 file of a run, converted in memory; `labels` as for `convert_run`."""
    head, record, outcome = select_head(run, labels), run.record(), run.qat.outcome()
    content = tflite.to_int8(load_head(run, run.qat, head))
    return Int8Model(
        name=f"{record.recipe_name}-{head}",
        content=content,
        temperature=outcome.temperature[head] if outcome else 1.0,
        preprocess=Preprocess(size=record.recipe.side),
        affine=tflite.input_output_affine(content)[0],
        float_logits=logits_of(load_head(run, run.float, head)),
    )


def _representative(dataset: Dataset, side: int, request: Request) -> ImageSource:
    return cache(lambda: representative(dataset, Preprocess(size=side), request.representative))


def _to_bundle(
    source: Source, dataset: Dataset, out: Path, request: Request, images: ImageSource
) -> Bundle:
    supported = _supported(source, request)
    formats = select_formats(request.formats, supported, source.evidence.origin or "a run")
    if request.on_measured and "int8" not in formats:
        raise SettingsError("--sensitivity needs the int8 TFLite file; add int8 to --formats")
    if request.exemption:
        require_known(request.exemption.name, formats, request.limits)
    try:
        bundle = _measured(source, formats, dataset, out, request)
        if request.on_measured:
            request.on_measured(bundle, dataset)
        require_passed(bundle.manifest.gate)
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
    source: Source, formats: Sequence[str], dataset: Dataset, out: Path, request: Request
) -> Bundle:
    """Make all formats, measure and check them; return the bundle, but for its texts."""
    files: dict[str, bytes] = {}
    for format in (format for format in formats if format in source.converters):
        files[format] = source.converters[format](files)
    public = dataset.part(Usage.PublicTest)
    bundle, confusion = calibrate(Bundle(out, _draft(source, files), files), public)
    edgetpu = edgetpu_entry(
        files.get("int8"), selected="edgetpu" in formats, required=request.requires_edgetpu
    )
    if edgetpu.content is not None:
        files["edgetpu"] = edgetpu.content
    if "int8" in files:
        # After all that other runtimes get of it: it serves the kernels of processors.
        files["int8"] = with_space_to_depth(files["int8"])
    if "mobile" in formats:
        temperature = bundle.manifest.output.temperature
        files["mobile"] = to_mobile(files["int8"], source.name, source.labels, temperature)
    evidence = changed(source.evidence, edgetpu=edgetpu.summary)
    manifest = changed(bundle.manifest, files=_entries(files), evidence=evidence)
    bundle = Bundle(out, manifest, files)
    found = measure_formats(bundle, dataset, source.logits, confusion, edgetpu.mapped)
    gate = run_checks(found, request.limits, request.exemption)
    evidence = changed(evidence, scores=found.scores)
    return Bundle(out, changed(manifest, evidence=evidence, gate=gate), files)


def _draft(source: Source, files: Mapping[str, bytes]) -> Manifest:
    """Return the manifest before anything was measured."""
    dtype, first, last = _quantization(files)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=source.name,
        label_set=source.label_set,
        labels=source.labels,
        input=Input(
            shape=(source.side, source.side, 1),
            dtype=dtype,
            colour="grey",
            preprocess=Preprocess(size=source.side),
            affine=first,
        ),
        output=Output(affine=last, temperature=1.0),
        files=_entries(files),
        evidence=source.evidence,
        gate=Gate(()),
        licences=dict(source.licences),
    )


def _quantization(files: Mapping[str, bytes]) -> tuple[str, Affine, Affine]:
    """Return the input's type and quantization, and the output's quantization."""
    if "int8" in files:
        return "int8", *tflite.input_output_affine(files["int8"])
    if "onnx-int8" in files:
        return "int8", *onnx_int8.input_output_affine(files["onnx-int8"])
    # Float files alone, which have none.
    return "float32", PIXEL, Affine(1.0, 0)


def _entries(files: Mapping[str, bytes]) -> dict[str, File]:
    present = ((name, format) for name, format in FORMATS.items() if name in files)
    return {name: describe(format.path, files[name], format.target) for name, format in present}
