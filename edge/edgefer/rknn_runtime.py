"""A .rknn file on Rockchip's NPU, by rknn-toolkit-lite2 and the system's librknnrt.

Written from the library's sources (2.5.0) and what boards were reported to print
(github.com/airockchip/rknn-toolkit2, issues 212, 281, 454); no board was there.
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra, RuntimeMissing
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels

RKNN = "rknn"
"""The runtime with Rockchip's NPU, and the bundle's format that it runs."""
LIBRARY = re.compile(r"librknnrt version: ([\d.]+)")
DRIVER = re.compile(r"Driver Information[:,] version: ([\d.]+)")
DOWNLOAD = "https://github.com/airockchip/rknn-toolkit2/tree/master/rknpu2"


class Rknn:
    """A .rknn file, one face a run: float32 in, float32 logits out, int8 between."""

    def __init__(self, bundle: Bundle, format: str = RKNN, _threads: int = 1) -> None:
        """Raise `MissingExtra` without the library, `RuntimeMissing` where it does not start."""
        try:
            library = importlib.import_module("rknnlite.api")
        except ImportError as exc:
            raise MissingExtra("rknn-toolkit-lite2", RKNN) from exc
        self.manifest, self._heads = bundle.manifest, bundle.manifest.heads_of(format)
        with tempfile.NamedTemporaryFile(suffix=".rknn") as file, printed() as output:
            file.write(bundle.read(format))
            file.flush()
            self._npu = library.RKNNLite()
            status = self._npu.load_rknn(file.name) or self._npu.init_runtime()
        if status != 0:
            compiled = bundle.manifest.files[format].compiled
            made_by = compiled.compiler if compiled else "another rknn-toolkit2"
            raise RuntimeMissing(f"rknn: {cause(output[0], made_by)}", RKNN)

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels of all heads) of face crops uint8 (N, size, size)."""
        images = self.manifest.input.preprocess.to_float(crops)
        return np.concatenate([self._run(image[np.newaxis]) for image in images])

    def _run(self, image: Any) -> Logits:
        # The file takes (1, side, side, 1) as it is: its layout of axes is NCHW by name.
        found = self._npu.inference([image], data_format="nchw")
        if found is None:
            # Once more to learn why; of each run, it would take what other threads print.
            with printed() as output:
                self._npu.inference([image], data_format="nchw")
            raise RuntimeMissing(f"rknn: {_first_error(output[0])}", RKNN)
        return np.concatenate([np.asarray(one, np.float32) for one in found], axis=1)


@contextmanager
def printed() -> Iterator[list[str]]:
    """Keep what the library prints from stdout and stderr; the list holds it afterwards."""
    output: list[str] = []
    kept = [(end, os.dup(end)) for end in (1, 2)]
    with tempfile.TemporaryFile() as file:
        try:
            for end, _ in kept:
                os.dup2(file.fileno(), end)
            yield output
        finally:
            for end, copy in kept:
                os.dup2(copy, end)
                os.close(copy)
            file.seek(0)
            output.append(file.read().decode(errors="replace"))


def cause(output: str, made_by: str) -> str:
    """Return in a line why the NPU does not start, from what the library printed."""
    library, driver = LIBRARY.search(output), DRIVER.search(output)
    if "Invalid RKNN" in output:
        version = library[1] if library else "of an unknown version"
        return (
            f"librknnrt {version} does not read a file of {made_by}; install librknnrt of that "
            f"version or newer from {DOWNLOAD}"
        )
    if "failed to open rkn" in output:
        return "no NPU: its driver, rknpu, is not loaded, or this user may not open it"
    if "driver" in output.lower() and driver and library:
        return (
            f"the driver rknpu {driver[1]} and librknnrt {library[1]} do not fit; update the "
            "board's system"
        )
    return f"the NPU does not start: {_first_error(output)}"


def _first_error(output: str) -> str:
    errors = re.findall(r"^E (?:RKNN: \[[\d:.]+\] )?(.+)$", output, re.MULTILINE)
    return errors[0].strip() if errors else "the library says nothing of why"
