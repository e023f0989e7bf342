"""A finished bundle compiled for one accelerator, by the compiler of its maker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace as changed

from edgefer.bundle import Bundle, describe, open_bundle, write_bundle
from edgefer.errors import SettingsError
from edgefer.manifest import Compiled
from edgefer.runtime import open_classifier
from edgefer_convert.formats import ethos_u, rknn
from edgefer_convert.formats.accelerators import ETHOS_U
from edgefer_convert.formats.representative import representative
from edgefer_convert.formats.table import FORMATS
from edgefer_convert.model_card import with_texts
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import labels_in, read


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """What a compiler needs beside the bundle."""

    target: str
    """One of those in `table.COMPILED`."""
    data: Path | None = None
    """Faces to quantize by and to simulate, for Rockchip's."""
    faces: int = 200
    """How many of PublicTest are simulated."""
    python: Path | None = None
    """Of rknn-toolkit2."""


def compile_bundle(name: str, out: Path, options: CompileOptions) -> Bundle:
    """Write a bundle with one more file, for an accelerator; return it.

    Raises `BundleError` for a bundle without the file that the compiler reads, `MissingExtra`
    and `RuntimeMissing` without the compiler, `SettingsError` without data that it needs, and
    `ConversionError` where it refuses the file.
    """
    bundle = open_bundle(name)
    if options.target in ETHOS_U:
        format = "ethos-u"
        content, report = ethos_u.compile_for_ethos_u(bundle.read("int8"), options.target)
    else:
        format, (content, report) = "rknn", _compile_for_rknn(bundle, options)
    row = FORMATS[format]
    entry = describe(row.path, content, row.target, report)
    manifest = changed(bundle.manifest, files={**bundle.manifest.files, format: entry})
    complete = Bundle(bundle.path, manifest, {**bundle.contents, format: content})
    return write_bundle(out, *with_texts(complete))


def _compile_for_rknn(bundle: Bundle, options: CompileOptions) -> tuple[bytes, Compiled]:
    """Compile the float model; compare the simulator's labels with its own."""
    if options.data is None:
        raise SettingsError("Rockchip's compiler quantizes by faces; name them: --data FOLDER")
    preprocess = bundle.manifest.input.preprocess
    reading = read(options.data, labels_in(options.data), preprocess.size)
    dataset = reading.dataset(reading.own_split)
    crops = dataset.part(Usage.PublicTest).images[: options.faces]
    faces = rknn.Faces(representative(dataset, preprocess), preprocess.to_float(crops))
    content, report, simulated = rknn.compile_for_rknn(
        bundle.read("onnx"), options.target, faces, options.python
    )
    # The simulator's logits are those of the first head.
    first = bundle.manifest.decoder(bundle.manifest.label_sets[0])
    expected = first.logits(open_classifier(bundle, "onnx").logits(crops))
    same = simulated.argmax(-1) == expected.argmax(-1)
    return content, changed(report, faces=len(crops), agreement=float(np.mean(same)))
