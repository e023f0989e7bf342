"""Running a bundle's model: one seam for the device, the gates and the evaluation.

int8 outputs differ by a count or two between runtimes and builds, so a model is
judged by the same code that will run it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
import numpy as np

from edgefer.bundle import Bundle
from edgefer.errors import BundleCorrupt, MissingExtra, SettingsError
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels


class Classifier(Protocol):
    """Reads expressions from face chips."""

    def logits(self, chips: Pixels) -> Logits:
        """Return logits float32 (N, labels) of grey chips uint8 (N, size, size)."""
        ...


class LiteRT:
    """The int8 TFLite file, one face an invocation."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self.manifest = bundle.manifest
        try:
            self._model = litert(bundle.read("int8"), threads)
        except (ValueError, RuntimeError) as exc:
            raise BundleCorrupt(f"{bundle.path}: not a TFLite model: {exc}", bundle.path) from exc
        self._input = self._model.get_input_details()[0]["index"]
        self._output = self._model.get_output_details()[0]["index"]

    def logits(self, chips: Pixels) -> Logits:
        """Return logits float32 (N, labels) of grey chips uint8 (N, size, size)."""
        spec, labels = self.manifest.input, len(self.manifest.labels)
        counts = np.empty((len(chips), labels), np.int8)
        for row, chip in enumerate(spec.preprocess.to_int8(chips, spec.affine)):
            self._model.set_tensor(self._input, chip[np.newaxis])
            self._model.invoke()
            counts[row] = self._model.get_tensor(self._output)[0]
        return self.manifest.output.affine.dequantize(counts)


class OnnxRuntime:
    """The float32 or the int8 (QDQ) ONNX file."""

    def __init__(self, bundle: Bundle, format: str, threads: int = 1) -> None:
        self.manifest = bundle.manifest
        self._session = _onnx_session(bundle.read(format), threads)
        self._input = self._session.get_inputs()[0]

    def logits(self, chips: Pixels) -> Logits:
        """Return logits float32 (N, labels) of grey chips uint8 (N, size, size)."""
        spec = self.manifest.input
        if self._input.type == "tensor(float)":
            return np.concatenate([self._run(row) for row in spec.preprocess.to_float(chips)])
        rows = [self._run(row) for row in spec.preprocess.to_int8(chips, spec.affine)]
        return self.manifest.output.affine.dequantize(np.concatenate(rows))

    def _run(self, chip: Any) -> Any:
        return self._session.run(None, {self._input.name: chip[np.newaxis]})[0]


RUNTIMES: dict[str, Callable[[Bundle, int], Classifier]] = {
    "int8": LiteRT,
    "onnx": lambda bundle, threads: OnnxRuntime(bundle, "onnx", threads),
    "onnx-int8": lambda bundle, threads: OnnxRuntime(bundle, "onnx-int8", threads),
}
"""By format of the bundle."""


def open_classifier(bundle: Bundle, format: str = "int8", threads: int = 1) -> Classifier:
    """Open a bundle's model in the runtime of a format.

    Raises `SettingsError` for an unknown format, `MissingExtra` where the
    runtime is not installed and `BundleError` where the bundle lacks the file.
    """
    if format not in RUNTIMES:
        raise SettingsError(f"unknown format '{format}'; known: {', '.join(RUNTIMES)}")
    return RUNTIMES[format](bundle, threads)


class Tensor(msgspec.Struct, frozen=True):
    """One tensor of a TFLite file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    """Of the first channel; 0 where there is no quantization."""
    zero_point: int


def tflite_tensors(model: bytes, which: str = "all") -> list[Tensor]:
    """Return the tensors of a TFLite file: `all`, its `inputs` or its `outputs`."""
    interpreter = litert(model)
    details = {
        "all": interpreter.get_tensor_details,
        "inputs": interpreter.get_input_details,
        "outputs": interpreter.get_output_details,
    }[which]()
    return [
        Tensor(
            name=detail["name"],
            dtype=np.dtype(detail["dtype"]).name,
            shape=tuple(int(side) for side in detail["shape"]),
            scale=float(detail["quantization"][0]),
            zero_point=int(detail["quantization"][1]),
        )
        for detail in details
    ]


def litert(model: bytes, threads: int = 1) -> Any:
    """Return an interpreter of a TFLite file, its tensors allocated.

    Raises `MissingExtra` where no runtime is installed, and the runtime's own
    `ValueError` or `RuntimeError` for bytes that are no model.
    """
    interpreter = _litert_interpreter()
    with _without_chatter():
        opened = interpreter(model_content=model, num_threads=threads)
        opened.allocate_tensors()
    return opened


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep from stderr that a delegate was created: LiteRT writes it to the descriptor itself
    and has no switch against it. What goes wrong comes as an exception."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _litert_interpreter() -> Any:
    """LiteRT's interpreter, or the older tflite-runtime's where that is what there is."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError as exc:
            raise MissingExtra("ai-edge-litert", "device") from exc
    return Interpreter


def _onnx_session(model: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU whose optimisations do not change results."""
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingExtra("onnxruntime", "train") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # The default level fuses into u8s8 kernels that saturate on AVX2 without VNNI.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
