"""The fastest runtime and thread count of this machine, and writing them to a configuration."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from edgefer import onnx_runtime
from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra, RuntimeMissing, SettingsError
from edgefer.files import write_output
from edgefer.options import MAX_THREADS
from edgefer.runtime import ACCELERATORS, Classifier, open_classifier
from edgefer.settings import read_toml, to_toml
from edgefer.text_files import read_text
from edgefer_device.bench.benchmarks import time_classifier
from edgefer_device.bench.components import noise
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.result import Candidate

PREFERRED = ("int8", "onnx-int8", "float16", "dynamic", "onnx", *ACCELERATORS)
"""Formats in order of preference, then accelerators; the other formats are for phones and
TensorRT."""
TOLERANCE = 0.05
"""By how much another must be faster to be preferred to what uses fewer threads, or stands
earlier: less is noise, and a thread more is heat."""
SHARE = 0.2
"""Of the time of a benchmark by itself, for each candidate."""
BUILT = "tensorrt"
"""The runtime that builds an engine from the model when it first loads it, and caches it."""
TABLE = re.compile(r"^\s*\[")
AFTER = re.compile(r"^\s*model\s*=")
"""The line after which new keys are inserted, where there is one."""

Progress = Callable[[str], None]
"""Called with a line of progress."""


def try_all(bundle: Bundle, plan: Plan, progress: Progress = lambda _: None) -> list[Candidate]:
    """Time the classifier in every installed runtime; return the best first."""
    size, part = bundle.manifest.input.preprocess.size, plan.part(SHARE)
    candidates = []
    for name, threads, classifier in _classifiers(bundle, progress):
        timing = time_classifier(classifier, size, part)
        candidates.append(Candidate(name, threads, timing.best_second, timing.cpu_ms))
    return ranked(candidates)


def thread_counts(cores: int | None = None) -> list[int]:
    """Return the powers of two up to the number of cores, and that itself, to `MAX_THREADS`."""
    cores = min(cores or os.cpu_count() or 1, MAX_THREADS)
    return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})


def _classifiers(bundle: Bundle, progress: Progress) -> Iterator[tuple[str, int, Classifier]]:
    providers = [name for name in PREFERRED if name in onnx_runtime.PROVIDERS]
    absent = [name for name in providers if not onnx_runtime.has_provider(name)]
    if absent:
        progress(f"left out, as this onnxruntime lacks them: {', '.join(absent)}")
    for name in (name for name in PREFERRED if name not in absent):
        formats = ACCELERATORS[name].formats if name in ACCELERATORS else (name,)
        if bundle.manifest.files.keys().isdisjoint(formats):
            continue
        for threads in [1] if name in ACCELERATORS else thread_counts():
            try:
                yield name, threads, _open(bundle, name, threads, progress)
            except MissingExtra:
                break
            except RuntimeMissing as exc:
                progress(f"left out: {exc}")
                break


def _open(bundle: Bundle, name: str, threads: int, progress: Progress) -> Classifier:
    """Open a classifier; with `BUILT`, build its engine."""
    if name != BUILT or not onnx_runtime.has_provider(BUILT):
        return open_classifier(bundle, name, threads)
    begun = time.perf_counter()
    progress("opening TensorRT: it builds its engine, which takes minutes, unless it is cached")
    classifier = open_classifier(bundle, name, threads)
    classifier.logits(noise(bundle.manifest.input.preprocess.size))
    progress(f"TensorRT's engine is ready after {time.perf_counter() - begun:.0f} s")
    return classifier


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with the preferred one first, the others by their time."""
    fastest = min(one.best_second for one in candidates)
    alike = [one for one in candidates if one.best_second <= fastest * (1 + TOLERANCE)]
    best = min(alike, key=lambda one: (one.threads, PREFERRED.index(one.runtime)))
    others = sorted((one for one in candidates if one is not best), key=lambda one: one.best_second)
    return [best, *others]


def write_keys(path: Path, values: Mapping[str, str | int]) -> list[str]:
    """Set keys of a TOML file's top table; comments, order and everything else stay.

    Returns the changes: `threads = 1 -> 2`. Raises `SettingsError` for a file that cannot be
    read, changed safely or written.
    """
    before = read_toml(path)
    wanted = {key: value for key, value in values.items() if before.get(key) != value}
    if not wanted:
        return []
    text = read_text(path)
    for key, value in wanted.items():
        text = _set(text, key, _toml(value))
    # A string may contain what looks like a key: the result is parsed before it is trusted.
    if _decoded(text) != {**before, **wanted}:
        keys = ", ".join(f"{key} = {_toml(value)}" for key, value in wanted.items())
        raise SettingsError(f"{path}: cannot be changed safely; write into it: {keys}")
    write_output(path, text)
    return [f"{key} = {_toml(before.get(key))} -> {_toml(wanted[key])}" for key in wanted]


def _set(text: str, key: str, value: str) -> str:
    """Return the text with `key = value` before its first table."""
    lines = text.splitlines(keepends=True)
    end = next((at for at, line in enumerate(lines) if TABLE.match(line)), len(lines))
    there = re.compile(rf"^(\s*{re.escape(key)}\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s#]+)")
    for at in range(end):
        if there.match(lines[at]):
            lines[at] = there.sub(lambda found: found[1] + value, lines[at])
            return "".join(lines)
    head = next((at for at in range(end) if not lines[at].startswith("#")), end)
    behind = next((at + 1 for at in range(end) if AFTER.match(lines[at])), head)
    if behind and not lines[behind - 1].endswith("\n"):
        lines[behind - 1] += "\n"
    return "".join([*lines[:behind], f"{key} = {value}\n", *lines[behind:]])


def _decoded(text: str) -> object:
    try:
        return msgspec.toml.decode(text)
    except msgspec.DecodeError:
        return None


def _toml(value: object) -> str:
    return "not set" if value is None else to_toml(value)
