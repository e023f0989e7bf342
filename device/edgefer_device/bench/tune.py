"""The fastest runtime and thread count of this board, and how they come into a configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence

from edgefer import providers
from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra, RuntimeMissing
from edgefer.runtime import ACCELERATORS, Classifier, open_classifier
from edgefer_device.bench.components import noise, time_classifier
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.result import Tried

CANDIDATES = ("int8", "onnx-int8", "float16", "onnx", *ACCELERATORS)
"""Formats, what a device should rather run first, then chips beside the processor; the other
formats are for phones and TensorRT."""
ALIKE = 0.05
"""By how much another must be faster to be taken before what uses fewer threads, or stands
earlier: less is noise, and a thread more is heat."""
SHARE = 0.2
"""Of the time that a part gets by itself, for each of many settings."""
BUILT = "tensorrt"
"""The runtime that builds an engine from the model when it first sees it, and keeps it."""

Say = Callable[[str], None]
"""Takes a line of how it goes on."""


def try_all(bundle: Bundle, plan: Plan, say: Say = lambda _: None) -> list[Tried]:
    """Time the classifier in every runtime that is installed, the one to take first."""
    side, part = bundle.manifest.input.preprocess.size, plan.part(SHARE)
    tried = []
    for name, threads, classifier in _candidates(bundle, say):
        timing = time_classifier(classifier, side, part)
        tried.append(Tried(name, threads, timing.quiet, timing.cpu_ms))
    return ranked(tried)


def _candidates(bundle: Bundle, say: Say) -> Iterator[tuple[str, int, Classifier]]:
    for name in CANDIDATES:
        formats = ACCELERATORS[name].formats if name in ACCELERATORS else (name,)
        if bundle.manifest.files.keys().isdisjoint(formats):
            continue
        for threads in [1] if name in ACCELERATORS else thread_counts():
            try:
                yield name, threads, _opened(bundle, name, threads, say)
            except MissingExtra:
                break
            except RuntimeMissing as exc:
                say(f"left out: {exc}")
                break


def _opened(bundle: Bundle, name: str, threads: int, say: Say) -> Classifier:
    """Open one, and have it read a face: the engine of `BUILT` is there then."""
    if name != BUILT or not providers.has(BUILT):
        return open_classifier(bundle, name, threads)
    begun = time.perf_counter()
    say("opening TensorRT: it builds its engine, which takes minutes, unless it has kept it")
    classifier = open_classifier(bundle, name, threads)
    classifier.logits(noise(bundle.manifest.input.preprocess.size))
    say(f"TensorRT's engine is there, after {time.perf_counter() - begun:.0f} s")
    return classifier


def ranked(tried: Sequence[Tried]) -> list[Tried]:
    """Return the settings with the one to take first, the others by their time."""
    fastest = min(one.quiet for one in tried)
    alike = [one for one in tried if one.quiet <= fastest * (1 + ALIKE)]
    taken = min(alike, key=lambda one: (one.threads, CANDIDATES.index(one.runtime)))
    return [taken, *sorted((one for one in tried if one is not taken), key=lambda one: one.quiet)]


def thread_counts(cores: int | None = None) -> list[int]:
    """Return the powers of two up to the number of cores, and that itself."""
    cores = cores or os.cpu_count() or 1
    return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})
