"""Parity: every format of a bundle, in every setting of its runtime, on the same faces.

Formats of one model should say the same; where they do not, this tells by how
much, and which setting of a runtime is at fault. Limits are what was measured
on the shipped model, with room for larger ones: `LIMITS`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import Bundle
from edgefer.console import FallbackWarning, track
from edgefer.errors import GateFailed, MissingExtra
from edgefer.machine import machine
from edgefer.metrics import softmax
from edgefer.preprocess import Pixels
from edgefer.runtime import RUNTIMES, Classifier, open_classifier
from edgefer_convert.analysis.parity_runtimes import litert_kernels, onnx_level

CHUNK = 100
"""Faces between two steps of the progress bar."""

UNOPTIMISED, OPTIMISED, KERNELS = "not optimised", "all optimisations", "no XNNPACK"

Probabilities = NDArray[np.float32]
"""(faces, labels)."""


class Limits(NamedTuple):
    """How far two settings may be apart."""

    agreement: float
    """Share of the faces that must get the same label, but for one more."""
    largest: float
    """Largest difference in a probability."""


REALS, HALVES = "the same reals", "reals in 16 bits"
INTEGERS, OTHER_KERNELS = "the same integers", "integers by other kernels"

LIMITS = {
    REALS: Limits(0.999, 0.001),
    HALVES: Limits(0.99, 0.02),
    INTEGERS: Limits(0.995, 0.05),
    OTHER_KERNELS: Limits(0.98, 0.15),
}
"""By what two settings have in common.

Measured on `small`, all 3,589 faces of PrivateTest, an x86 without int8 dot products: the same
reals agree on every label and differ by 1e-6 at most; float16 on 99.8 % and by 0.009; the same
integers on every label and by 0.024, a few counts of a logit; LiteRT's kernels without XNNPACK
on 99.3 % and by 0.056, since they round between layers otherwise, which adds up with depth. All
of onnxruntime's optimisations round the symmetric file's float biases: 99.1 %, 0.124.
"""

ROUNDING = 1e-5
"""Below this two probabilities differ by the order of float32's sums alone."""

FLOAT = ("onnx", "keras", "float16")

COMMON = {
    ("int8", "onnx-int8"): INTEGERS,
    ("int8", "mobile"): INTEGERS,
    ("onnx", "keras"): REALS,
    ("onnx", "float16"): HALVES,
}
"""What formats that are made from the same numbers have in common. The symmetric ONNX file has
scales of its own: it is held against its labels by the gate alone, as int8 is against float."""


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


class Judged(msgspec.Struct, frozen=True):
    """A pair that should say the same, beside its limits."""

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
    """Where the faces come from."""
    n: int
    machine: str
    settings: tuple[str, ...]
    pairs: tuple[Pair, ...]
    judged: tuple[Judged, ...]
    findings: tuple[str, ...]
    """What a runtime's settings change here, in words."""

    @property
    def passed(self) -> bool:
        """Whether every pair that should say the same does."""
        return all(one.passed for one in self.judged)

    def require_passed(self) -> None:
        """Raise `GateFailed` with the first pair that should say the same and does not."""
        for one in self.judged:
            if not one.passed:
                raise GateFailed(
                    f"{one.pair.first} and {one.pair.second} do not say the same: "
                    f"{one.pair.agreement:.2%} of labels agree, at least {one.at_least:.1%} is "
                    f"wanted; probabilities differ by {one.pair.largest:.2g}, at most "
                    f"{one.at_most} is; convert the model again",
                    self,
                )


def settings_of(bundle: Bundle) -> dict[str, Callable[[], Classifier]]:
    """Return the settings to compare, by name; a format's own name is how it is deployed."""
    found: dict[str, Callable[[], Classifier]] = {}
    for format in filter(bundle.manifest.files.__contains__, RUNTIMES):
        found[format] = partial(open_classifier, bundle, format)
        suffix = Path(bundle.manifest.files[format].path).suffix
        for how in (UNOPTIMISED, OPTIMISED) if suffix == ".onnx" else ():
            found[named(format, how)] = partial(onnx_level, bundle, format, how == OPTIMISED)
        if format == "int8":
            found[named(format, KERNELS)] = partial(litert_kernels, bundle, format)
    return found


def named(format: str, how: str) -> str:
    """Return the name of a format in another setting than it is deployed in."""
    return f"{format}, {how}"


def measure(bundle: Bundle, faces: Pixels, source: str) -> Parity:
    """Run every setting on face chips (N, size, size), told to be from `source`, and judge.

    A format whose runtime is not installed is left out, with a `FallbackWarning` warning.
    """
    seen = {}
    for name, opened in settings_of(bundle).items():
        try:
            seen[name] = _probabilities(opened(), bundle, faces, name)
        except MissingExtra as exc:
            warnings.warn(f"{name} is left out: {exc}", FallbackWarning, stacklevel=2)
    pairs = tuple(_pair(*names, seen) for names in itertools.combinations(seen, 2))
    return Parity(
        bundle=str(bundle.path),
        faces=source,
        n=len(faces),
        machine=f"{machine()}, {'with' if has_dot_products() else 'without'} int8 dot products",
        settings=tuple(seen),
        pairs=pairs,
        judged=tuple(filter(None, (_judge(pair, len(faces)) for pair in pairs))),
        findings=tuple(_findings(pairs, len(faces))),
    )


def has_dot_products() -> bool:
    """Whether this processor adds int8 products into 32 bits (VNNI, or SDOT on Arm).

    Without, x86 adds pairs of them into 16 bits, which can overflow: onnxruntime's faster
    kernels then saturate.
    """
    cpuinfo = Path("/proc/cpuinfo")
    words = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return bool(words & {"avx512_vnni", "avx_vnni", "asimddp"})


def _probabilities(
    classifier: Classifier, bundle: Bundle, faces: Pixels, name: str
) -> Probabilities:
    starts = track(range(0, len(faces), CHUNK), name)
    logits = np.concatenate([classifier.logits(faces[at : at + CHUNK]) for at in starts])
    return softmax(logits, bundle.manifest.output.temperature)


def _pair(first: str, second: str, seen: Mapping[str, Probabilities]) -> Pair:
    here, there = seen[first], seen[second]
    apart = np.abs(here.astype(float) - there)
    same = here.argmax(-1) == there.argmax(-1)
    return Pair(first, second, float(same.mean()), float(apart.max()), float(apart.mean()))


def _judge(pair: Pair, n: int) -> Judged | None:
    """Compare each setting with the deployed form of its format, and each format with the
    first of its kind: what is left would only say the same again."""
    kind = _kind(pair)
    if kind is None:
        return None
    limits = LIMITS[kind]
    # One more than the share: on few faces a single tie would decide.
    allowed = (1 - limits.agreement) * n + 1
    passed = (1 - pair.agreement) * n <= allowed and pair.largest <= limits.largest
    return Judged(pair, kind, limits.agreement, limits.largest, passed)


def _kind(pair: Pair) -> str | None:
    """What two settings have in common, one of `LIMITS`; None where that is nothing to judge."""
    first, how = _parted(pair.first)
    second, other = _parted(pair.second)
    if how:
        return None
    if first == second:
        if first in FLOAT:
            return REALS
        rounds_biases = first == "onnx-symmetric" and other == OPTIMISED
        return OTHER_KERNELS if rounds_biases or other == KERNELS else INTEGERS
    return None if other else COMMON.get((first, second)) or COMMON.get((second, first))


def _parted(name: str) -> tuple[str, str]:
    format, _, how = name.partition(", ")
    return format, how


def _findings(pairs: tuple[Pair, ...], n: int) -> list[str]:
    """Say of each runtime whether its optimisation changes results, and what is exact."""
    found = []
    for pair in pairs:
        first, how = _parted(pair.first)
        second, other = _parted(pair.second)
        if first == second and not how and other == UNOPTIMISED:
            found.append(f"{first}, as deployed with basic optimisations: {_changes(pair, n)}")
        elif first == second and how == UNOPTIMISED and other == OPTIMISED:
            found.append(f"{first}, with all of onnxruntime's optimisations: {_changes(pair, n)}")
        elif first == second and not how and other == KERNELS:
            found.append(f"{first}, with LiteRT's kernels without XNNPACK: {_changes(pair, n)}")
    return found + _nearest(pairs)


def _changes(pair: Pair, n: int) -> str:
    if pair.largest == 0:
        return "exact, to the bit as without optimisations"
    if pair.largest < ROUNDING:
        return f"the same but for float32's own rounding ({pair.largest:.0e})"
    labels = round((1 - pair.agreement) * n)
    return f"changes {labels} of {n:,} labels, probabilities by up to {pair.largest:.2g}"


def _nearest(pairs: tuple[Pair, ...]) -> list[str]:
    """Which of LiteRT's kernels are nearest to the same graph in exact arithmetic."""
    exact = named("onnx-int8", UNOPTIMISED)
    to_exact = {
        one: pair.largest
        for pair in pairs
        if exact in (pair.first, pair.second)
        for one in {pair.first, pair.second} & {"int8", named("int8", KERNELS)}
    }
    if len(to_exact) < 2:
        return []
    nearest = min(to_exact, key=to_exact.__getitem__)
    told = "; ".join(
        f"'{name}' differs by up to {largest:.2g}" for name, largest in to_exact.items()
    )
    return [f"nearest to exact arithmetic ({exact}) is '{nearest}': {told}"]
