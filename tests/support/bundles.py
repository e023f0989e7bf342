"""Bundles for tests that need no trained model."""

from __future__ import annotations

from edgefer.affine import Affine
from edgefer.bundle import describe
from edgefer.heads import Head
from edgefer.labels import FER2013
from edgefer.manifest import SCHEMA_VERSION, Evidence, Gate, Input, Manifest
from edgefer.preprocess import PIXEL, Preprocess

CONTENTS = {"int8": b"not a real model", "labels": b"angry\n"}


def manifest(schema_version: int = SCHEMA_VERSION) -> Manifest:
    return Manifest(
        schema_version=schema_version,
        name="test",
        input=Input((48, 48, 1), "int8", "grey", Preprocess(), PIXEL),
        heads=(Head("fer2013", FER2013, Affine(0.1, 0)),),
        ensemble=None,
        files={
            "int8": describe("model.int8.tflite", CONTENTS["int8"], "LiteRT"),
            "labels": describe("labels.txt", CONTENTS["labels"], "people"),
        },
        evidence=Evidence("fer2013", "0" * 64, "small", {}, 1, 1, 1, 0.0, "none", {}),
        gate=Gate(()),
        licences={"model": "Apache-2.0"},
    )
