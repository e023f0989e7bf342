"""From a run, or a model made elsewhere, to a bundle: make, measure, judge, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from shutil import which

import msgspec

from edgefer.affine import Affine
from edgefer.bundle import Bundle, describe, write_bundle
from edgefer.errors import ConversionError, EdgeferError, SettingsError
from edgefer.manifest import SCHEMA_VERSION, File, Gate, Input, Manifest, Output
from edgefer.preprocess import PIXEL, Preprocess
from edgefer_convert.formats import onnx_int8, tflite
from edgefer_convert.formats.edgetpu.bundle_entry import edgetpu_part
from edgefer_convert.formats.edgetpu.compiler import HOW, PROGRAM
from edgefer_convert.formats.mobile import to_mobile
from edgefer_convert.formats.representative import Pictures, representative
from edgefer_convert.formats.space_to_depth import with_folded_stem
from edgefer_convert.formats.table import FORMATS, chosen
from edgefer_convert.gate.measure import calibrated, measured
from edgefer_convert.gate.verdict import judge, require_known, require_passed
from edgefer_convert.importers.external_model import Brought, source_of_file
from edgefer_convert.importers.run import head_of, source_of_run
from edgefer_convert.importers.source import Source
from edgefer_convert.model_card import card
from edgefer_convert.request import Request
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.run import Run


def convert(
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
    head = head_of(run, labels)
    dataset = dataset.with_labels(head)
    preprocess = Preprocess(size=run.record().recipe.side)
    pictures = _pictures(dataset, preprocess, request)
    source = source_of_run(run, head, request.ptq, pictures)
    return _to_bundle(source, dataset, out, request)


def convert_file(
    brought: Brought,
    labels: Sequence[str],
    dataset: Dataset,
    out: Path,
    request: Request | None = None,
) -> Bundle:
    """Convert a float model that was made elsewhere, its outputs named in order by `labels`.

    Raises as `convert` does, and `ConversionError` for labels that the dataset does not have.
    """
    request = request or Request()
    pictures = _pictures(dataset, Preprocess(size=brought.side), request)
    return _to_bundle(source_of_file(brought, labels, dataset, pictures), dataset, out, request)


def _pictures(dataset: Dataset, preprocess: Preprocess, request: Request) -> Callable[[], Pictures]:
    """What gives the representative pictures, taken when the first format asks for them."""
    return cache(lambda: representative(dataset, preprocess, request.representative))


def _to_bundle(source: Source, dataset: Dataset, out: Path, request: Request) -> Bundle:
    formats = chosen(request.formats, _possible(source, request), source.evidence.origin or "a run")
    if request.explain and "int8" not in formats:
        raise SettingsError("--sensitivity reads the int8 TFLite file; add int8 to --formats")
    if request.exemption:
        require_known(request.exemption.name, formats, request.limits)
    try:
        bundle = _measured(source, formats, dataset, out, request)
        if request.explain:
            request.explain(bundle, dataset)
        require_passed(bundle.manifest.gate)
        return write_bundle(out, *_with_words(bundle))
    except EdgeferError:
        raise
    except OSError as exc:
        raise ConversionError(
            f"{out}: the conversion could not be finished: {exc.strerror or exc}; what was there "
            "before is unharmed"
        ) from exc


def _possible(source: Source, request: Request) -> set[str]:
    """The formats that the source can become, for the Edge TPU where its compiler is."""
    if "int8" not in source.makers:
        return set(source.makers)
    if which(PROGRAM):
        return {*source.makers, "mobile", "edgetpu"}
    if _asked_for_edgetpu(request):
        raise ConversionError(f"--formats edgetpu: {HOW}")
    return {*source.makers, "mobile"}


def _asked_for_edgetpu(request: Request) -> bool:
    """Whether it was asked for by its name, and not as a part of all."""
    return "edgetpu" in (request.formats or "")


def _measured(
    source: Source, formats: Sequence[str], dataset: Dataset, out: Path, request: Request
) -> Bundle:
    """Make all formats, measure them and judge: the bundle, but for its texts."""
    made: dict[str, bytes] = {}
    for format in (format for format in formats if format in source.makers):
        made[format] = source.makers[format](made)
    public = dataset.part(Usage.PublicTest)
    bundle, table = calibrated(Bundle(out, _draft(source, made), made), public)
    edgetpu = edgetpu_part(made.get("int8"), "edgetpu" in formats, _asked_for_edgetpu(request))
    if edgetpu.content is not None:
        made["edgetpu"] = edgetpu.content
    if "int8" in made:
        # Behind all that other runtimes get of it: it serves the kernels of processors.
        made["int8"] = with_folded_stem(made["int8"])
    if "mobile" in formats:
        temperature = bundle.manifest.output.temperature
        made["mobile"] = to_mobile(made["int8"], source.name, source.labels, temperature)
    evidence = msgspec.structs.replace(source.evidence, edgetpu=edgetpu.said)
    manifest = msgspec.structs.replace(bundle.manifest, files=_files(made), evidence=evidence)
    bundle = Bundle(out, manifest, made)
    found = measured(bundle, dataset, source.logits, table, edgetpu.mapped)
    gate = judge(found, request.limits, request.exemption)
    evidence = msgspec.structs.replace(evidence, scores=found.scores)
    return Bundle(out, msgspec.structs.replace(manifest, evidence=evidence, gate=gate), made)


def _draft(source: Source, made: dict[str, bytes]) -> Manifest:
    """The manifest before anything was measured."""
    dtype, first, last = _ends(made)
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
        files=_files(made),
        evidence=source.evidence,
        gate=Gate(()),
        licences=dict(source.licences),
    )


def _ends(made: dict[str, bytes]) -> tuple[str, Affine, Affine]:
    """Type and quantization of the input, and quantization of the output."""
    if "int8" in made:
        return "int8", tflite.input_affine(made["int8"]), tflite.output_affine(made["int8"])
    if "onnx-int8" in made:
        return "int8", *onnx_int8.ends(made["onnx-int8"])
    # There is none: reals go in and out.
    return "float32", PIXEL, Affine(1.0, 0)


def _files(made: dict[str, bytes]) -> dict[str, File]:
    ordered = ((format, FORMATS[format]) for format in FORMATS if format in made)
    return {format: describe(one.path, made[format], one.target) for format, one in ordered}


def _with_words(bundle: Bundle) -> tuple[Manifest, dict[str, bytes]]:
    """The bundle's manifest and contents with the texts for people."""
    manifest = bundle.manifest
    texts = {"labels": "\n".join(manifest.labels).encode() + b"\n", "card": card(manifest)}
    named = {
        "labels": describe("labels.txt", texts["labels"], "people and phones"),
        "card": describe("MODEL_CARD.md", texts["card"], "people"),
    }
    complete = msgspec.structs.replace(manifest, files={**manifest.files, **named})
    return complete, {**bundle.contents, **texts}
