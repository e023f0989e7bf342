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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer import edgetpu, providers
from edgefer.bundle import Bundle
from edgefer.errors import BundleCorrupt, MissingExtra, RuntimeMissing, SettingsError
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
        content, chip = bundle.read(format), format == edgetpu.NAME
        try:
            self._hold(litert(content, threads, chip), bundle)
        except RuntimeMissing:
            raise
        except (ValueError, RuntimeError) as exc:
            what = f"a file that {edgetpu.LIBRARY} runs" if chip else "a TFLite model"
            raise BundleCorrupt(f"{bundle.path}: not {what}: {exc}", bundle.path) from exc

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
    """An ONNX file, one face a run: float32, or int8 as QDQ with integers or reals at its ends.

    `provider` is one of `providers.PROVIDERS`.
    """

    def __init__(
        self, bundle: Bundle, format: str, threads: int = 1, provider: str = "cpu"
    ) -> None:
        self.manifest = bundle.manifest
        content, integer = bundle.read(format), format != "onnx"
        self._session = onnx_session(content, bundle.path, threads, provider, integer)
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


Opener = Callable[[Bundle, str, int], Classifier]
"""Opens a format of a bundle with a number of threads."""

RUNTIMES: dict[str, Opener] = {
    "int8": LiteRT,
    "onnx-int8": OnnxRuntime,
    "float16": LiteRT,
    "onnx": OnnxRuntime,
    "onnx-symmetric": OnnxRuntime,
    "mobile": LiteRT,
    "keras": Keras,
}
"""By format of the bundle, what a device should rather run first."""


class Accelerator(NamedTuple):
    """A runtime on a chip beside the processor, which a device has or not."""

    formats: tuple[str, ...]
    """That it runs, what it should rather run first."""
    open: Opener


ACCELERATORS = {
    edgetpu.NAME: Accelerator((edgetpu.NAME,), LiteRT),
    "tensorrt": Accelerator(("onnx-symmetric", "onnx"), partial(OnnxRuntime, provider="tensorrt")),
    "cuda": Accelerator(("onnx",), partial(OnnxRuntime, provider="cuda")),
}
"""By name. None is taken unless it is named: `edgefer bench --tune` does where it is fastest."""


def first_format(files: Container[str]) -> str | None:
    """Return the first of `RUNTIMES` among the files of a bundle, or None."""
    return next((format for format in RUNTIMES if format in files), None)


def open_classifier(bundle: Bundle, name: str | None = None, threads: int = 1) -> Classifier:
    """Open a bundle's model in the runtime of a format, unless named the first that it has.

    `name` is a format, or an accelerator's. Raises `SettingsError` for an unknown one,
    `MissingExtra` and `RuntimeMissing` where what runs it is not there, and `BundleError`
    where the bundle lacks the file.
    """
    name = name or first_format(bundle.manifest.files) or "int8"
    if name in ACCELERATORS:
        formats, opened = ACCELERATORS[name]
        files = bundle.manifest.files
        format = next((format for format in formats if format in files), formats[0])
        return opened(bundle, format, threads)
    if name not in RUNTIMES:
        known = ", ".join((*RUNTIMES, *ACCELERATORS))
        raise SettingsError(f"unknown format '{name}'; known: {known}")
    return RUNTIMES[name](bundle, name, threads)


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


def litert(model: bytes, threads: int = 1, chip: bool = False) -> Any:
    """Return an interpreter of a TFLite file, its tensors allocated; `chip`: with an Edge TPU.

    Raises `MissingExtra` where no runtime is installed, `RuntimeMissing` without the chip, and
    the runtime's own `ValueError` or `RuntimeError` for bytes that are no model.
    """
    library = _litert_library()
    with without_chatter():
        delegates = [edgetpu.delegate(library)] if chip else None
        opened = library.Interpreter(
            model_content=model, num_threads=threads, experimental_delegates=delegates
        )
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


def _litert_library() -> Any:
    """LiteRT, or the older tflite-runtime where that is what there is."""
    for name in ("ai_edge_litert", "tflite_runtime"):
        try:
            return importlib.import_module(f"{name}.interpreter")
        except ImportError as exc:
            missing = exc
    raise MissingExtra("ai-edge-litert", "device") from missing


def onnx_session(
    model: bytes, path: Path, threads: int, provider: str = "cpu", integer: bool = False
) -> Any:
    """Return an onnxruntime session whose optimisations do not change results.

    `provider` is one of `providers.PROVIDERS`, `integer` whether the model is int8 as QDQ.
    Raises `MissingExtra` where onnxruntime is not installed, `RuntimeMissing` where it lacks
    the provider, and `BundleCorrupt`, naming `path`, for bytes that are no model.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states
    except ImportError as exc:
        raise MissingExtra("onnxruntime", "onnx") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # The default level fuses into u8s8 kernels that saturate on AVX2 without VNNI.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # What it cannot read comes as an exception; the rest is about itself.
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    wanted = providers.wanted(provider, available, model, integer)
    refusals = (states.InvalidProtobuf, states.InvalidGraph, states.Fail, states.NotImplemented)
    try:
        session = onnxruntime.InferenceSession(
            model,
            options,
            providers=wanted,
            # Also of the basic level: it rounds float biases beside quantized weights.
            disabled_optimizers=["WeightBiasQuantization"],
            # Else it takes the processor in place of a GPU that fails, and prints that.
            enable_fallback=0,
        )
    except (*refusals, states.EPFail, states.RuntimeException) as exc:
        first = str(exc).splitlines()[0]
        if provider != "cpu":
            raise RuntimeMissing(f"{provider}: does not start: {first}", provider) from exc
        raise BundleCorrupt(f"{path}: not an ONNX model: {first}", path) from exc
    providers.require_used(provider, session.get_providers())
    return session
