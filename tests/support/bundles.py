"""Bundles for tests that need no trained model."""

from __future__ import annotations

from edgefer.affine import Affine
from edgefer.bundle import describe
from edgefer.labels import FER2013
from edgefer.manifest import Evidence, Gate, Input, Manifest, Output
from edgefer.preprocess import PIXEL, Preprocess

CONTENTS = {"int8": b"not a real model", "labels": b"angry\n"}


def manifest(schema_version: int = 1) -> Manifest:
    return Manifest(
        schema_version=schema_version,
        name="test",
        label_set="fer2013",
        labels=FER2013,
        input=Input((48, 48, 1), "int8", "grey", Preprocess(), PIXEL),
        output=Output(Affine(0.1, 0), 1.0),
        files={
            "int8": describe("model.int8.tflite", CONTENTS["int8"], "LiteRT"),
            "labels": describe("labels.txt", CONTENTS["labels"], "people"),
        },
        evidence=Evidence("fer2013", "0" * 64, "small", {}, 1, 1, 1, 0.0, "none", {}, {}),
        gate=Gate(()),
        licences={"model": "Apache-2.0"},
    )
