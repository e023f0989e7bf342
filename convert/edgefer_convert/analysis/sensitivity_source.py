"""What `edgefer model sensitivity` is given: a bundle, or a run that is not converted yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefer.affine import Affine
from edgefer.bundle import Bundle, open_bundle
from edgefer.errors import RunError
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, Preprocess
from edgefer.runtime import open_classifier
from edgefer_convert.analysis.sensitivity import Explanation, Subject, explain

RECORD = "run.json"
"""What tells a run's folder from a bundle's."""


@dataclass(frozen=True)
class Source:
    """An int8 file, and how face chips become its input."""

    name: str
    int8: bytes
    temperature: float
    preprocess: Preprocess
    affine: Affine
    float_logits: Callable[[Pixels], Logits] | None
    """What the float model that it was made from says, where there is one."""

    def explained(self, faces: Pixels, where_from: str) -> Explanation:
        """Explain the file on face chips uint8 (N, size, size)."""
        logits = self.float_logits(faces) if self.float_logits else None
        subject = Subject(self.name, self.int8, self.temperature, logits)
        pictures = self.preprocess.to_float(faces)
        return explain(subject, pictures, self.preprocess.to_int8(faces, self.affine), where_from)


def open_source(name: str, labels: str | None = None) -> Source:
    """Open a run's folder or a bundle; `labels` chooses the head of a run that has several.

    Raises `RunError` or `BundleError` where there is neither.
    """
    if (Path(name) / RECORD).is_file():
        return _of_run(Path(name), labels)
    return source_of(open_bundle(name))


def source_of(bundle: Bundle) -> Source:
    """Return a bundle's int8 file; raise `BundleError` where it has none."""
    manifest = bundle.manifest
    model = open_classifier(bundle, "onnx") if "onnx" in manifest.files else None
    return Source(
        name=manifest.name,
        int8=bundle.read("int8"),
        temperature=manifest.output.temperature,
        preprocess=manifest.input.preprocess,
        affine=manifest.input.affine,
        float_logits=model.logits if model else None,
    )


def _of_run(folder: Path, labels: str | None) -> Source:
    """Convert the two models of a run in memory."""
    from edgefer_train.run import Run

    run = Run(folder)
    record, files = run.record(), (run.model(run.float), run.model(run.qat))
    head = labels or record.recipe.labels
    if head not in record.heads:
        known = ", ".join(record.heads)
        raise RunError(f"{folder}: has no labels '{head}'; it was trained for: {known}")
    # TensorFlow takes seconds to load: what is wrong with the run is said before.
    from edgefer_convert.formats.tflite import input_affine, to_int8
    from edgefer_train.architectures import one_head
    from edgefer_train.quantization.fake_quant import load_quantized

    float_model, qat = (one_head(load_quantized(file), head) for file in files)
    content, preprocess = to_int8(qat), Preprocess(size=record.recipe.side)
    outcome = run.qat.outcome()

    def float_logits(faces: Pixels) -> Logits:
        pictures = preprocess.to_float(faces)
        return np.asarray(float_model.predict(pictures, batch_size=256, verbose=0), np.float32)

    return Source(
        name=f"{record.recipe_name}-{head}",
        int8=content,
        temperature=outcome.temperature[head] if outcome else 1.0,
        preprocess=preprocess,
        affine=input_affine(content),
        float_logits=float_logits,
    )
