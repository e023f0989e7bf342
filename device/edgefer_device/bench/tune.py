"""The fastest runtime and thread count of this board, and how they come into a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra
from edgefer.runtime import Classifier, open_classifier
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.parts import time_classifier
from edgefer_device.bench.result import Tried
from edgefer_device.bench.sweep import SHARE, thread_counts

CANDIDATES = ("int8", "onnx-int8", "float16", "onnx")
"""Formats, what a device should rather run first; the others are for phones and TensorRT."""
ALIKE = 0.05
"""By how much another must be faster to be taken before what uses fewer threads, or stands
earlier: less is noise, and a thread more is heat."""


def try_all(bundle: Bundle, plan: Plan) -> list[Tried]:
    """Time the classifier in every runtime that is installed, the one to take first."""
    side, part = bundle.manifest.input.preprocess.size, plan.part(SHARE)
    tried = []
    for format, threads, classifier in _candidates(bundle):
        timing = time_classifier(classifier, side, part)
        best = min(loop.p50 for loop in timing.loops)
        tried.append(Tried(format, threads, best, timing.cpu_ms))
    return ranked(tried)


def _candidates(bundle: Bundle) -> Iterator[tuple[str, int, Classifier]]:
    for format in CANDIDATES:
        if format not in bundle.manifest.files:
            continue
        for threads in thread_counts():
            try:
                yield format, threads, open_classifier(bundle, format, threads)
            except MissingExtra:
                break


def ranked(tried: Sequence[Tried]) -> list[Tried]:
    """Return the settings with the one to take first, the others by their time."""
    fastest = min(one.p50 for one in tried)
    alike = [one for one in tried if one.p50 <= fastest * (1 + ALIKE)]
    taken = min(alike, key=lambda one: (one.threads, CANDIDATES.index(one.runtime)))
    return [taken, *sorted((one for one in tried if one is not taken), key=lambda one: one.p50)]
