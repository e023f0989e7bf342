"""From a run to a bundle: convert, measure every format, judge, write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from edgefer.bundle import Bundle, describe, write_bundle
from edgefer.errors import GateFailed
from edgefer.manifest import SCHEMA_VERSION, Evidence, File, Gate, Input, Manifest, Output
from edgefer.metrics import Logits, Scores, best_temperature, score
from edgefer.preprocess import Preprocess
from edgefer.runtime import open_classifier
from edgefer_convert.card import card
from edgefer_convert.gate import judge
from edgefer_convert.onnx_files import to_int8_onnx, to_onnx
from edgefer_convert.tflite import input_affine, output_affine, to_int8
from edgefer_train.dataset import Dataset, Usage
from edgefer_train.evaluate import classify_all
from edgefer_train.run import Record, Run

FILES = {
    "int8": ("model.int8.tflite", "LiteRT on any processor; int8 in and out"),
    "onnx": ("model.onnx", "onnxruntime; float32"),
    "onnx-int8": ("model.int8.onnx", "onnxruntime; int8 as QDQ"),
}

LICENCES = {
    "model": "Apache-2.0",
    "training pictures": "FER2013: no licence; research use; no picture is in this bundle",
    "FER+ votes": "MIT (microsoft/FERPlus)",
}


def convert(run: Run, dataset: Dataset, out: Path) -> Bundle:
    """Convert a run's two models and write the bundle, unless its gate fails.

    Raises `RunError` when the run is not finished, `DatasetError` when `dataset` is not
    the one it was trained on and `GateFailed` when int8 loses too much: an older
    bundle at `out` then stays as it is.
    """
    record = run.record()
    run.require_data(dataset)
    float_model = keras.models.load_model(run.model(run.float), compile=False)
    with tfmot.quantization.keras.quantize_scope():
        qat_model = keras.models.load_model(run.model(run.qat), compile=False)
    contents = {"int8": to_int8(qat_model), "onnx": to_onnx(float_model)}
    contents["onnx-int8"] = to_int8_onnx(contents["int8"])

    draft = _draft(run, record, contents)
    manifest = _measured(Bundle(out, draft, contents), dataset, float_model)
    if not manifest.gate.passed:
        worst = max(manifest.gate.checks, key=lambda check: check.measured - check.limit)
        raise GateFailed(
            f"{worst.name} is {worst.measured:.2%}, at most {worst.limit:.2%} is allowed; "
            "no bundle was written; quantize with more epochs or a lower rate",
            manifest.gate,
        )
    texts = {"labels": "\n".join(manifest.labels).encode() + b"\n", "card": card(manifest)}
    named = {
        "labels": describe("labels.txt", texts["labels"], "people and phones"),
        "card": describe("MODEL_CARD.md", texts["card"], "people"),
    }
    complete = msgspec.structs.replace(manifest, files={**manifest.files, **named})
    return write_bundle(out, complete, {**contents, **texts})


def _draft(run: Run, record: Record, contents: dict[str, bytes]) -> Manifest:
    """The manifest before anything was measured."""
    head = record.recipe.labels
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=f"{record.recipe_name}-{head}",
        label_set=head,
        labels=record.heads[head],
        input=Input(
            shape=(48, 48, 1),
            dtype="int8",
            colour="grey",
            preprocess=Preprocess(),
            affine=input_affine(contents["int8"]),
        ),
        output=Output(affine=output_affine(contents["int8"]), temperature=1.0),
        files={format: _file(format, content) for format, content in contents.items()},
        evidence=Evidence(
            dataset=record.dataset,
            fingerprint=record.fingerprint,
            recipe_name=record.recipe_name,
            recipe=msgspec.to_builtins(record.recipe),
            seed=record.recipe.seed,
            parameters=record.parameters,
            macs=record.macs,
            minutes=round(run.minutes(), 1),
            machine=record.machine,
            versions=record.versions,
            scores={},
        ),
        gate=Gate(()),
        licences=LICENCES,
    )


def _file(format: str, content: bytes) -> File:
    path, target = FILES[format]
    return describe(path, content, target)


def _measured(bundle: Bundle, dataset: Dataset, float_model: Any) -> Manifest:
    """The manifest with temperature (from PublicTest), scores (on PrivateTest) and verdict."""
    manifest = bundle.manifest
    public, private = dataset.part(Usage.PublicTest), dataset.part(Usage.PrivateTest)
    on_public = classify_all(open_classifier(bundle), public.images, "PublicTest, int8")
    temperature = best_temperature(on_public, public.labels)
    reference = _float_logits(float_model, private.images)

    def scored(logits: Logits) -> Scores:
        return score(
            logits, private.labels, manifest.labels, dataset.leak_free, temperature, reference
        )

    scores = {"float": scored(reference)}
    for format in FILES:
        classifier = open_classifier(bundle, format)
        scores[format] = scored(classify_all(classifier, private.images, f"PrivateTest, {format}"))
    return msgspec.structs.replace(
        manifest,
        output=msgspec.structs.replace(manifest.output, temperature=temperature),
        evidence=msgspec.structs.replace(manifest.evidence, scores=scores),
        gate=judge(scores),
    )


def _float_logits(model: Any, images: np.ndarray) -> Logits:
    pictures = Preprocess().to_float(images)
    return np.asarray(model.predict(pictures, batch_size=512, verbose=0), np.float32)
