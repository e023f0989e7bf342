"""A float16 TFLite file on a GPU, by LiteRT's accelerator: WebGPU, over Vulkan or Metal.

No GPU was there: what goes in and out was run on the processor, by the same interface.
"""

from __future__ import annotations

import atexit
import importlib
import os
import traceback
from functools import cache
from typing import Any

import numpy as np

from edgefer.bundle import Bundle
from edgefer.console import native_stderr_dropped
from edgefer.errors import MissingExtra, RuntimeMissing
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer.tflite_check import require_runnable

GPU = "gpu"
"""The runtime's name."""


@cache
def _be_quiet_at_exit() -> None:
    """LiteRT tells of its accelerators' end on stderr once Python has ended."""
    atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)


class LiteRTGpu:
    """A TFLite file with float32 input and output, one face a run; int8 files it does not take."""

    def __init__(
        self, bundle: Bundle, format: str, _threads: int = 1, accelerator: str = "GPU"
    ) -> None:
        """Raise `MissingExtra` without LiteRT 2, `RuntimeMissing` without a GPU that it can use."""
        try:
            library = importlib.import_module("ai_edge_litert.compiled_model")
        except ImportError as exc:
            raise MissingExtra("ai-edge-litert", "device") from exc
        self.manifest, self._heads = bundle.manifest, bundle.manifest.heads_of(format)
        content = bundle.read(format)
        require_runnable(content)
        _be_quiet_at_exit()
        chosen = getattr(library.HardwareAccelerator, accelerator)
        with native_stderr_dropped():
            try:
                self._model = library.CompiledModel.from_buffer(content, hardware_accel=chosen)
            except RuntimeError as exc:
                # They hold what says its farewell on stderr when it goes.
                traceback.clear_frames(exc.__traceback__)
                raise RuntimeMissing(
                    "gpu: LiteRT runs nothing on a GPU here: expected one with a driver for "
                    "Vulkan or Metal",
                    GPU,
                ) from exc
            self._inputs = self._model.create_input_buffers(0)
            self._outputs = self._model.create_output_buffers(0)

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels of all heads) of face crops uint8 (N, size, size)."""
        images = self.manifest.input.preprocess.to_float(crops)
        return np.stack([self._run(image[np.newaxis]) for image in images])

    def _run(self, image: Any) -> Logits:
        self._inputs[0].write(image)
        self._model.run_by_index(0, self._inputs, self._outputs)
        ends = zip(self._outputs, self._heads, strict=True)
        return np.concatenate([end.read(len(head.labels), np.float32) for end, head in ends])
