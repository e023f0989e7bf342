"""TFLite files in LiteRT, on the processor or on an Edge TPU."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import Bundle
from edgefer.console import native_stderr_dropped
from edgefer.errors import BundleCorrupt, MissingExtra, RuntimeMissing, foreign
from edgefer.heads import Head
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, int8_table
from edgefer.tflite_check import require_runnable

EDGETPU = "edgetpu"
"""The runtime with an Edge TPU, and the bundle's format that it runs."""
MOBILE = "mobile"
"""The bundle's format for phones: uint8 RGB in, probabilities out."""
EDGETPU_LIBRARY = "libedgetpu.so.1"
EDGETPU_INSTALL = (
    "install libedgetpu1-std for this system from https://github.com/feranick/libedgetpu/releases"
)
"""Google's own, at coral.ai, is of 2021: newer LiteRTs do not work with it (docs/deploy.md)."""


class LiteRT:
    """A TFLite file, one face an invocation.

    Its input tensor decides what it gets: int8, float32 in 0..1 or uint8, of phones in RGB.
    """

    def __init__(self, bundle: Bundle, format: str = "int8", threads: int = 1) -> None:
        content, on_edgetpu = bundle.read(format), format == EDGETPU
        try:
            self._bind(open_interpreter(content, threads, on_edgetpu), bundle, format)
        except RuntimeMissing:
            raise
        except (ValueError, RuntimeError) as exc:
            what = f"a file that {EDGETPU_LIBRARY} runs" if on_edgetpu else "a TFLite model"
            raise BundleCorrupt(f"{bundle.path}: not {what}: {foreign(exc)}", bundle.path) from exc

    def _bind(self, interpreter: Any, bundle: Bundle, format: str) -> None:
        """Keep an interpreter whose tensors are allocated, and views of its ends."""
        self.manifest, self._model = bundle.manifest, interpreter
        self._heads = bundle.manifest.heads_of(format)
        inputs, results = interpreter.get_input_details(), interpreter.get_output_details()
        self._for_phones = format == MOBILE
        _require_ends(inputs, results, bundle, self._heads, channels=3 if self._for_phones else 1)
        (given,) = inputs
        self._input_dtype, self._output_dtype = given["dtype"], results[0]["dtype"]
        # Called for a view into the model's own memory; none may be kept while it runs.
        self._input = interpreter.tensor(given["index"])
        self._outputs = [interpreter.tensor(result["index"]) for result in results]
        self._table = int8_table(self.manifest.input.affine)
        if self._input_dtype == np.uint8:
            self._table = _flipped(self._table, np.uint8)

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels of all heads) of face crops uint8 (N, size, size)."""
        self.manifest.input.preprocess.require(crops)
        results = [
            np.empty((len(crops), len(head.labels)), self._output_dtype) for head in self._heads
        ]
        for row, crop in enumerate(crops):
            self._fill(crop)
            self._model.invoke()
            for result, output in zip(results, self._outputs, strict=True):
                result[row] = output()[0]
        return np.concatenate(list(map(self._to_real, results, self._heads)), axis=1)

    def _fill(self, crop: Pixels) -> None:
        """Write one face crop (size, size) into the model's input."""
        if self._for_phones:
            self._input()[0] = crop[..., np.newaxis]  # three channels that are alike
        elif self._input_dtype == np.float32:
            self._input()[:] = self.manifest.input.preprocess.to_float(crop[np.newaxis])
        else:
            cv2.LUT(crop, self._table, self._input()[0, :, :, 0])

    def _to_real(self, result: NDArray[Any], head: Head) -> Logits:
        """Return an output (N, labels), int8, float32 or uint8, as logits."""
        if self._for_phones:
            return to_logits(result, head.calibration.temperature)
        if result.dtype == np.float32:
            return result
        return head.affine.dequantize(
            _flipped(result, np.int8) if result.dtype == np.uint8 else result
        )


def _flipped(quantized: NDArray[Any], to: type[np.int8 | np.uint8]) -> NDArray[Any]:
    """Turn int8 into uint8 of the same real value, or back: their zero points are 128 apart."""
    return (quantized.view(np.uint8) ^ 0x80).view(to)


def _require_ends(
    inputs: Sequence[Any],
    results: Sequence[Any],
    bundle: Bundle,
    heads: Sequence[Head],
    channels: int,
) -> None:
    """Raise ValueError unless input and outputs are what the manifest says."""
    size = bundle.manifest.input.preprocess.size
    counts = (("inputs", inputs, 1), ("outputs", results, len(heads)))
    for what, tensors, wanted in counts:
        if len(tensors) != wanted:
            raise ValueError(f"it has {len(tensors)} {what}, by the manifest {wanted}")
    ends: list[tuple[str, Any, tuple[int, ...]]] = [("input", inputs[0], (1, size, size, channels))]
    ends += [
        ("output", result, (1, len(head.labels)))
        for result, head in zip(results, heads, strict=True)
    ]
    for end, tensor, shape in ends:
        found = tuple(map(int, tensor["shape"]))
        if found != shape or tensor["dtype"] not in (np.int8, np.float32, np.uint8):
            kind = np.dtype(tensor["dtype"]).name
            raise ValueError(f"its {end} is {kind} {found}, by the manifest it is {shape}")


def to_logits(quantized: NDArray[np.uint8], temperature: float) -> Logits:
    """Turn probabilities in 256ths (N, labels) at a temperature back into logits.

    A 0 stands for less than half a 256th.
    """
    shares = np.maximum(quantized.astype(np.float32), 0.5) / 256
    return np.asarray(temperature * np.log(shares), np.float32)


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
    interpreter = open_interpreter(model)
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


def open_interpreter(model: bytes, threads: int = 1, on_edgetpu: bool = False) -> Any:
    """Return an interpreter of a TFLite file, its tensors allocated.

    Raises `MissingExtra` where no runtime is installed, `RuntimeMissing` without the Edge TPU,
    and `ValueError` or the runtime's own `RuntimeError` for bytes that are no model.
    """
    library = _library()
    require_runnable(model)
    with native_stderr_dropped():
        delegates = [edgetpu_delegate(library)] if on_edgetpu else None
        interpreter = library.Interpreter(
            model_content=model, num_threads=threads, experimental_delegates=delegates
        )
        interpreter.allocate_tensors()
    return interpreter


def _library() -> Any:
    """Return LiteRT, or the older tflite-runtime where only that is installed."""
    for name in ("ai_edge_litert", "tflite_runtime"):
        try:
            return importlib.import_module(f"{name}.interpreter")
        except ImportError as exc:
            missing = exc
    raise MissingExtra("ai-edge-litert", "device") from missing


def edgetpu_delegate(litert: Any, library: str = EDGETPU_LIBRARY) -> Any:
    """Return the delegate, by LiteRT's module `litert`; raise `RuntimeMissing` without one."""
    try:
        # LiteRT's own attempt leaves a broken object behind, whose __del__ prints a traceback.
        ctypes.CDLL(library)
    except OSError as exc:
        raise RuntimeMissing(
            f"edgetpu: {library} does not load; {EDGETPU_INSTALL}", EDGETPU
        ) from exc
    try:
        return litert.load_delegate(library)
    except ValueError as exc:
        raise RuntimeMissing(
            f"edgetpu: {library} opens no Edge TPU: plug one in, end what else uses it, or be in "
            "the group plugdev",
            EDGETPU,
        ) from exc
