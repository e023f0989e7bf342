"""Parity: every format of a bundle, in every setting of its runtime, on the same faces.

Formats of one model should predict the same; where they do not, this measures by how much, and
finds the setting of a runtime that is at fault. Limits are what was measured on the shipped
model, with room for larger ones: `LIMITS`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import Bundle
from edgefer.console import FallbackWarning, track
from edgefer.errors import GateFailed, MissingExtra
from edgefer.heads import Decoder
from edgefer.litert import LiteRT
from edgefer.machine import machine
from edgefer.onnx_runtime import OnnxRuntime
from edgefer.preprocess import Pixels
from edgefer.runtime import RUNTIMES, Classifier, open_classifier

CHUNK = 100
"""Faces between two steps of the progress bar."""

UNOPTIMIZED, OPTIMIZED, NO_XNNPACK = "not optimized", "all optimizations", "no XNNPACK"

Probabilities = NDArray[np.float32]
"""(faces, labels)."""


class Limits(NamedTuple):
    """How far two settings may differ."""

    agreement: float
    """Share of the faces that must get the same label, but for one more."""
    largest: float
    """Largest difference in a probability."""


FLOAT32, FLOAT16 = "the same float32 weights", "weights in float16"
INT8, OTHER_KERNELS = "the same int8 weights", "int8 by other kernels"

LIMITS = {
    FLOAT32: Limits(0.999, 0.001),
    FLOAT16: Limits(0.99, 0.02),
    INT8: Limits(0.995, 0.05),
    OTHER_KERNELS: Limits(0.98, 0.15),
}
"""By what two settings have in common.

Measured on `small`, all 3,589 faces of PrivateTest, an x86 without int8 dot products: the same
float32 weights agree on every label and differ by 1e-6 at most; float16 on 99.8 % and by 0.009;
the same int8 weights on every label and by 0.024, a few steps of a logit; LiteRT's kernels without
XNNPACK on 99.3 % and by 0.056, since they round between layers otherwise, which adds up with
depth. All of onnxruntime's optimizations round the symmetric file's float biases: 99.1 %, 0.124.
"""

ROUNDING = 1e-5
"""Below this two probabilities differ by the order of float32's sums alone."""

FLOAT_FORMATS = ("onnx", "keras", "float16")

COMMON = {
    ("int8", "onnx-int8"): INT8,
    ("int8", "uint8"): INT8,
    ("int8", "mobile"): INT8,
    ("onnx", "keras"): FLOAT32,
    ("onnx", "float16"): FLOAT16,
}
"""What formats that are made from the same weights have in common. The symmetric ONNX file has
scales of its own: only the gate compares its labels, as those of int8 with float."""


class Pair(msgspec.Struct, frozen=True):
    """Two settings on the same faces."""

    first: str
    second: str
    agreement: float
    """Share of the faces that get the same label, 0..1."""
    largest: float
    """Difference in a label's probability."""
    mean: float
    """Of the differences in all probabilities."""


class PairCheck(msgspec.Struct, frozen=True):
    """A pair that should predict the same, beside its limits."""

    pair: Pair
    kind: str
    """What they have in common, one of `LIMITS`."""
    at_least: float
    at_most: float
    passed: bool


class Parity(msgspec.Struct, frozen=True):
    """How the formats and settings of one bundle compare."""

    bundle: str
    faces: str
    """Their source."""
    n: int
    machine: str
    settings: tuple[str, ...]
    pairs: tuple[Pair, ...]
    checks: tuple[PairCheck, ...]
    findings: tuple[str, ...]
    """The effect of each runtime's settings here, in words."""

    @property
    def passed(self) -> bool:
        """Whether every pair that should predict the same does."""
        return all(check.passed for check in self.checks)

    def require_passed(self) -> None:
        """Raise `GateFailed` with the first pair that should predict the same and does not."""
        for check in self.checks:
            if not check.passed:
                pair = check.pair
                raise GateFailed(
                    f"{pair.first} and {pair.second} do not predict the same: "
                    f"{pair.agreement:.2%} of labels agree, expected at least "
                    f"{check.at_least:.1%}; probabilities differ by {pair.largest:.2g}, expected "
                    f"at most {check.at_most}; convert the model again",
                    self,
                )


class OnnxAtLevel(OnnxRuntime):
    """An ONNX file with every optimization of onnxruntime, or with none.

    Without, each operation of the graph is computed as it is written: QDQ in float32, which
    holds int8's sums exactly, so that only the quantization itself rounds.
    """

    def __init__(self, bundle: Bundle, format: str, setting: str) -> None:
        try:
            import onnxruntime
        except ImportError as exc:
            raise MissingExtra("onnxruntime", "train") from exc
        levels = onnxruntime.GraphOptimizationLevel
        level = levels.ORT_ENABLE_ALL if setting == OPTIMIZED else levels.ORT_DISABLE_ALL
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.graph_optimization_level = 1, level
        self.manifest = bundle.manifest
        self._session = onnxruntime.InferenceSession(
            bundle.read(format), options, providers=["CPUExecutionProvider"]
        )
        self._bind(bundle, format)


class LiteRTKernels(LiteRT):
    """A TFLite file with LiteRT's own kernels, without the XNNPACK delegate."""

    def __init__(self, bundle: Bundle, format: str) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as exc:
            raise MissingExtra("ai-edge-litert", "device") from exc
        model = Interpreter(
            model_content=bundle.read(format),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        model.allocate_tensors()
        self._bind(model, bundle, format)


def settings_of(bundle: Bundle, labels: str) -> dict[str, Callable[[], Classifier]]:
    """Return the settings to compare, by name; a format's own name is how it is deployed.

    A file that has not both heads is left out where `labels` is both of them together.
    """
    settings: dict[str, Callable[[], Classifier]] = {}
    for format in filter(bundle.manifest.files.__contains__, RUNTIMES):
        if not bundle.manifest.predicts(labels, format):
            continue
        settings[format] = partial(open_classifier, bundle, format)
        if bundle.manifest.files[format].path.endswith(".onnx"):
            for setting in (UNOPTIMIZED, OPTIMIZED):
                settings[f"{format}, {setting}"] = partial(OnnxAtLevel, bundle, format, setting)
        if format == "int8":
            settings[f"{format}, {NO_XNNPACK}"] = partial(LiteRTKernels, bundle, format)
    return settings


def measure_parity(bundle: Bundle, faces: Pixels, source: str, labels: str | None = None) -> Parity:
    """Run every setting on face crops (N, size, size) and compare; `source` names the faces.

    `labels` is the label set to compare by, by default the first head's, or `both`.
    A format whose runtime is not installed is left out, with a `FallbackWarning`.
    """
    outputs, labels = {}, labels or bundle.manifest.label_sets[0]
    for name, opened in settings_of(bundle, labels).items():
        try:
            decoder = bundle.manifest.decoder(labels, name.partition(", ")[0])
            outputs[name] = _probabilities(opened(), decoder, faces, name)
        except MissingExtra as exc:
            warnings.warn(f"{name} is left out: {exc}", FallbackWarning, stacklevel=2)
    pairs = tuple(_pair(*names, outputs) for names in itertools.combinations(outputs, 2))
    return Parity(
        bundle=str(bundle.path),
        faces=source,
        n=len(faces),
        machine=f"{machine()}, {'with' if has_dot_products() else 'without'} int8 dot products",
        settings=tuple(outputs),
        pairs=pairs,
        checks=tuple(filter(None, (_check(pair, len(faces)) for pair in pairs))),
        findings=(*_findings(pairs, len(faces)), *_nearest(pairs)),
    )


def has_dot_products() -> bool:
    """Return whether this processor adds int8 products into 32 bits (VNNI, or SDOT on Arm).

    Without, x86 adds pairs of them into 16 bits, which can overflow: onnxruntime's faster
    kernels then saturate.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return bool(flags & {"avx512_vnni", "avx_vnni", "asimddp"})


def _probabilities(
    classifier: Classifier, decoder: Decoder, faces: Pixels, name: str
) -> Probabilities:
    starts = track(range(0, len(faces), CHUNK), name)
    logits = np.concatenate([classifier.logits(faces[at : at + CHUNK]) for at in starts])
    return decoder.probabilities(logits)


def _pair(first: str, second: str, outputs: Mapping[str, Probabilities]) -> Pair:
    one, other = outputs[first], outputs[second]
    difference = np.abs(one.astype(float) - other)
    same = one.argmax(-1) == other.argmax(-1)
    largest, mean = float(difference.max()), float(difference.mean())
    return Pair(first, second, float(same.mean()), largest, mean)


def _check(pair: Pair, n: int) -> PairCheck | None:
    """Compare each setting with the deployed form of its format, and each format with the
    first of its kind: other pairs would repeat the same."""
    kind = _kind(pair)
    if kind is None:
        return None
    limits = LIMITS[kind]
    # One more than the share: on few faces a single tie would decide.
    allowed = (1 - limits.agreement) * n + 1
    passed = (1 - pair.agreement) * n <= allowed and pair.largest <= limits.largest
    return PairCheck(pair, kind, limits.agreement, limits.largest, passed)


def _kind(pair: Pair) -> str | None:
    """Return what two settings have in common, one of `LIMITS`; None where they need not agree."""
    (first, how), (second, other) = _parts(pair)
    if how:
        return None
    if first != second:
        return None if other else COMMON.get((first, second)) or COMMON.get((second, first))
    if first in FLOAT_FORMATS:
        return FLOAT32
    rounds_biases = first == "onnx-symmetric" and other == OPTIMIZED
    return OTHER_KERNELS if rounds_biases or other == NO_XNNPACK else INT8


def _parts(pair: Pair) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return format and setting of both; a deployed form's setting is empty."""
    (first, _, how), (second, _, other) = (
        name.partition(", ") for name in (pair.first, pair.second)
    )
    return (first, how), (second, other)


FINDINGS = {
    ("", UNOPTIMIZED): "as deployed with basic optimizations",
    (UNOPTIMIZED, OPTIMIZED): "with all of onnxruntime's optimizations",
    ("", NO_XNNPACK): "with LiteRT's kernels without XNNPACK",
}
"""By two settings of one format."""


def _findings(pairs: tuple[Pair, ...], n: int) -> Iterator[str]:
    """Yield for each runtime whether its optimization changes results."""
    for pair in pairs:
        (first, how), (second, other) = _parts(pair)
        if first == second and (how, other) in FINDINGS:
            yield f"{first}, {FINDINGS[how, other]}: {_changes(pair, n)}"


def _changes(pair: Pair, n: int) -> str:
    if pair.largest == 0:
        return "exact, to the bit as without optimizations"
    if pair.largest < ROUNDING:
        return f"the same but for float32's own rounding ({pair.largest:.0e})"
    labels = round((1 - pair.agreement) * n)
    return f"changes {labels} of {n:,} labels, probabilities by up to {pair.largest:.2g}"


def _nearest(pairs: tuple[Pair, ...]) -> Iterator[str]:
    """Yield which of LiteRT's kernels are nearest to the same graph in exact arithmetic."""
    exact, kernels = f"onnx-int8, {UNOPTIMIZED}", {"int8", f"int8, {NO_XNNPACK}"}
    differences = {
        one: pair.largest
        for pair in pairs
        if exact in (pair.first, pair.second)
        for one in {pair.first, pair.second} & kernels
    }
    if len(differences) == len(kernels):
        nearest = min(differences, key=differences.__getitem__)
        all_of_them = "; ".join(
            f"'{name}' differs by up to {largest:.2g}" for name, largest in differences.items()
        )
        yield f"nearest to exact arithmetic ({exact}) is '{nearest}': {all_of_them}"
