"""Running a bundle's model: one seam for the device, the gates and the evaluation.

int8 outputs differ by a count or two between runtimes and builds, so a model is
judged by the same code that will run it.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import Bundle
from edgefer.errors import BundleCorrupt, MissingExtra, SettingsError
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, int8_table


class Classifier(Protocol):
    """Reads expressions from face chips."""

    def logits(self, chips: Pixels) -> Logits:
        """Return logits float32 (N, labels) of grey chips uint8 (N, size, size)."""
        ...


class LiteRT:
    """A TFLite file, one face an invocation: int8, float16 or the one for phones.

    What it takes is told by its input: int8 counts, reals 0..1, or uint8 RGB.
    """

    def __init__(self, bundle: Bundle, format: str = "int8", threads: int = 1) -> None:
        content = bundle.read(format)
        try:
            self._hold(litert(content, threads), bundle)
        except (ValueError, RuntimeError) as exc:
            raise BundleCorrupt(f"{bundle.path}: not a TFLite model: {exc}", bundle.path) from exc

    def _hold(self, model: Any, bundle: Bundle) -> None:
        """Keep an interpreter whose tensors are allocated, and the ways to its two ends."""
        self.manifest, self._model = bundle.manifest, model
        given, answer = model.get_input_details()[0], model.get_output_details()[0]
        self._kind, self._output = given["dtype"], answer["dtype"]
        # Called for a view into the model's own memory; none may be kept while it runs.
        self._view, self._answer = map(model.tensor, (given["index"], answer["index"]))
        self._table = int8_table(self.manifest.input.affine)

    def logits(self, chips: Pixels) -> Logits:
        """Return logits float32 (N, labels) of grey chips uint8 (N, size, size)."""
        self.manifest.input.preprocess.require(chips)
        given = np.empty((len(chips), len(self.manifest.labels)), self._output)
        for row, chip in enumerate(chips):
            self._fill(chip)
            self._model.invoke()
            given[row] = self._answer()[0]
        output = self.manifest.output
        if given.dtype == np.uint8:
            return to_logits(given, output.temperature)
        return given if given.dtype == np.float32 else output.affine.dequantize(given)

    def _fill(self, chip: Pixels) -> None:
        """Write one chip (size, size) into the model's input."""
        if self._kind == np.int8:
            cv2.LUT(chip, self._table, self._view()[0, :, :, 0])
        elif self._kind == np.float32:
            self._view()[:] = self.manifest.input.preprocess.to_float(chip[np.newaxis])
        else:
            self._view()[0] = chip[..., np.newaxis]  # three channels that are alike


def to_logits(counts: NDArray[np.uint8], temperature: float) -> Logits:
    """Turn probabilities in 256ths (N, labels) at a temperature back into logits.

    A count of 0 says under half a 256th.
    """
    shares = np.maximum(counts.astype(np.float32), 0.5) / 256
    return np.asarray(temperature * np.log(shares), np.float32)


class OnnxRuntime:
    """An ONNX file, one face a run: float32, or int8 as QDQ with integers or reals at its ends."""

    def __init__(self, bundle: Bundle, format: str, threads: int = 1) -> None:
        self.manifest = bundle.manifest
        self._session = onnx_session(bundle.read(format), bundle.path, threads)
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


class Keras:
    """The float Keras file, in the Keras that wrote it; never on a device."""

    def __init__(self, bundle: Bundle, format: str, _threads: int = 1) -> None:
        self.manifest = bundle.manifest
        self._model = keras_model(bundle.read(format), bundle.path)

    def logits(self, chips: Pixels) -> Logits:
        """Return logits float32 (N, labels) of grey chips uint8 (N, size, size)."""
        pictures = self.manifest.input.preprocess.to_float(chips)
        return np.asarray(self._model(pictures, training=False), np.float32)


def keras_model(content: bytes, path: Path) -> Any:
    """Return the model in a `.keras` file's bytes; `path` is named where it is none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        try:
            with zipfile.ZipFile(file) as archive:
                written_by = msgspec.json.decode(archive.read("metadata.json"))["keras_version"]
            library = "keras" if written_by.startswith("3.") else "tf_keras"
            return importlib.import_module(f"{library}.models").load_model(file, compile=False)
        except ImportError as exc:
            raise MissingExtra(library, "train") from exc
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as exc:
            raise BundleCorrupt(f"{path}: not a Keras model: {exc}", path) from exc


RUNTIMES: dict[str, Callable[[Bundle, str, int], Classifier]] = {
    "int8": LiteRT,
    "onnx-int8": OnnxRuntime,
    "float16": LiteRT,
    "onnx": OnnxRuntime,
    "onnx-symmetric": OnnxRuntime,
    "mobile": LiteRT,
    "keras": Keras,
}
"""By format of the bundle, what a device should rather run first."""


def first_format(files: Container[str]) -> str | None:
    """Return the first of `RUNTIMES` among the files of a bundle, or None."""
    return next((format for format in RUNTIMES if format in files), None)


def open_classifier(bundle: Bundle, format: str | None = None, threads: int = 1) -> Classifier:
    """Open a bundle's model in the runtime of a format, unless named the first that it has.

    Raises `SettingsError` for an unknown format, `MissingExtra` where the
    runtime is not installed and `BundleError` where the bundle lacks the file.
    """
    format = format or first_format(bundle.manifest.files) or "int8"
    if format not in RUNTIMES:
        raise SettingsError(f"unknown format '{format}'; known: {', '.join(RUNTIMES)}")
    return RUNTIMES[format](bundle, format, threads)


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
    with without_chatter():
        opened = interpreter(model_content=model, num_threads=threads)
        opened.allocate_tensors()
    return opened


@contextmanager
def without_chatter() -> Iterator[None]:
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


def onnx_session(model: bytes, path: Path, threads: int) -> Any:
    """Return an onnxruntime session on the CPU whose optimisations do not change results.

    Raises `MissingExtra` where onnxruntime is not installed, and `BundleCorrupt`, naming
    `path`, for bytes that are no model.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states
    except ImportError as exc:
        raise MissingExtra("onnxruntime", "train") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # The default level fuses into u8s8 kernels that saturate on AVX2 without VNNI.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # What it cannot read comes as an exception; the rest is about itself.
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            # Also of the basic level: it rounds float biases beside quantized weights.
            disabled_optimizers=["WeightBiasQuantization"],
        )
    except (states.InvalidProtobuf, states.InvalidGraph, states.Fail, states.NotImplemented) as exc:
        first = str(exc).splitlines()[0]
        raise BundleCorrupt(f"{path}: not an ONNX model: {first}", path) from exc
