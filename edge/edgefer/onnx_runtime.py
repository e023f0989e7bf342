"""ONNX files in onnxruntime: on the processor, or on an accelerator by one of its providers.

OpenVINO's was run on a processor; the others are written from onnxruntime's documents and sources,
and nobody has run them yet (docs/hardware.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.bundle import Bundle
from edgefer.errors import BundleCorrupt, MissingExtra, RuntimeMissing, SettingsError, foreign
from edgefer.files import cache_folder
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""onnxruntime's names, by ours."""
NVIDIA = "install onnxruntime-gpu in its place (for a Jetson, NVIDIA's build: docs/deploy.md)"
INSTALL = {
    "cuda": NVIDIA,
    "tensorrt": NVIDIA,
    "openvino": "install onnxruntime-openvino in its place",
    "qnn": "install a build of onnxruntime for Qualcomm's chips in its place",
    "coreml": "run it on macOS, whose onnxruntime has it",
}
"""Where to get a provider that the installed onnxruntime lacks."""
NEEDS = {
    "cuda": "an NVIDIA GPU, and the CUDA and cuDNN that it was built for",
    "tensorrt": "an NVIDIA GPU, and the CUDA, cuDNN and TensorRT that it was built for",
    "openvino": "OpenVINO's libraries, which come with onnxruntime-openvino",
    "qnn": "a Qualcomm chip with a Hexagon processor and its driver",
    "coreml": "macOS 12 or newer",
}
"""What a provider needs to start."""

Providers = list[tuple[str, dict[str, Any]]]
"""Of a session, each with its options, in order of preference."""


class OnnxRuntime:
    """An ONNX file, one face a run: float32, or int8 as QDQ with int8 or float32 input and output.

    `provider` is one of `PROVIDERS`.
    """

    def __init__(
        self, bundle: Bundle, format: str, threads: int = 1, provider: str = "cpu"
    ) -> None:
        self.manifest = bundle.manifest
        content, integer = bundle.read(format), format != "onnx"
        self._session = onnx_session(content, bundle.path, threads, provider, integer)
        self._bind(bundle, format)

    def _bind(self, bundle: Bundle, format: str) -> None:
        """Raise `BundleCorrupt` unless the session's outputs are what the manifest says."""
        self._input, self._heads = self._session.get_inputs()[0], bundle.manifest.heads_of(format)
        found = [one.shape[1:] for one in self._session.get_outputs()]
        if found != [[len(head.labels)] for head in self._heads]:
            labels = ", ".join(str(len(head.labels)) for head in self._heads)
            raise BundleCorrupt(
                f"{bundle.path}: its outputs are {found}, by the manifest it has {labels} labels",
                bundle.path,
            )

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels of all heads) of face crops uint8 (N, size, size)."""
        spec = self.manifest.input
        if self._input.type == "tensor(float)":
            rows = [self._run(row) for row in spec.preprocess.to_float(crops)]
            return np.concatenate([np.concatenate(row, axis=1) for row in rows])
        rows = [self._run(row) for row in spec.preprocess.to_int8(crops, spec.affine)]
        parts = zip(self._heads, zip(*rows, strict=True), strict=True)
        real = [head.affine.dequantize(np.concatenate(part)) for head, part in parts]
        return np.concatenate(real, axis=1)

    def _run(self, crop: Any) -> list[Any]:
        """Return the outputs of one image, each with a batch of one."""
        return list(self._session.run(None, {self._input.name: crop[np.newaxis]}))


def onnx_session(
    model: bytes, path: Path, threads: int, provider: str = "cpu", integer: bool = False
) -> Any:
    """Return an onnxruntime session whose optimisations do not change results.

    `provider` is one of `PROVIDERS`, `integer` whether the model is int8 as QDQ.
    Raises `MissingExtra` where onnxruntime is not installed, `RuntimeMissing` where it lacks
    the provider, and `BundleCorrupt`, naming `path`, for bytes that are no model.
    """
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingExtra("onnxruntime", "onnx") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # The default level fuses into u8s8 kernels that saturate on AVX2 without VNNI.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Errors come as exceptions; the rest is about itself.
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    chosen = session_providers(provider, available, model, integer)
    try:
        session = onnxruntime.InferenceSession(
            model,
            options,
            providers=chosen,
            # Part of the basic level: it rounds float biases beside quantized weights.
            disabled_optimizers=["WeightBiasQuantization"],
            # Else it falls back to the processor when a GPU fails, and prints that.
            enable_fallback=0,
        )
    except Exception as exc:  # a dozen of its own, and Python's for names that are no UTF-8
        if provider != "cpu":
            raise RuntimeMissing(f"{provider}: does not start: {foreign(exc)}", provider) from exc
        raise BundleCorrupt(
            f"{path}: not an ONNX model, damaged or cut off: {foreign(exc)}", path
        ) from exc
    _require_used(provider, session.get_providers())
    return session


def has_provider(provider: str) -> bool:
    """Whether onnxruntime is installed, and was built with a provider."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return PROVIDERS[provider] in onnxruntime.get_available_providers()


def session_providers(
    provider: str, available: Sequence[str], model: bytes, integer: bool
) -> Providers:
    """Return the providers of a session; `integer` is whether the model is int8 as QDQ.

    Raises `RuntimeMissing` where the installed onnxruntime was built without the provider.
    """
    if PROVIDERS[provider] not in available:
        have, advice = ", ".join(available), INSTALL[provider]
        raise RuntimeMissing(
            f"{provider}: this onnxruntime has no {PROVIDERS[provider]}, only {have}; {advice}",
            provider,
        )
    options = tensorrt_options(model, integer) if provider == "tensorrt" else {}
    # Behind it stand those for operations that it does not support.
    within = dict.fromkeys((provider, *(["cuda"] if provider == "tensorrt" else []), "cpu"))
    names = [PROVIDERS[one] for one in within if PROVIDERS[one] in available]
    return [(one, options if one == PROVIDERS[provider] else {}) for one in names]


def tensorrt_options(model: bytes, integer: bool) -> dict[str, Any]:
    """Return TensorRT's options (onnxruntime.ai, TensorRT Execution Provider), its folders made.

    An engine is built from a model in minutes and fits one GPU. onnxruntime finds it again by
    the names in the model's graph, not by its weights (`TRTGenerateId`): hence a folder for
    each model. Kernel timings hold for all models and share one file.
    """
    kept = cache_folder() / "tensorrt"
    engines = kept / hashlib.sha256(model).hexdigest()[:16]
    _make(engines)
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(kept),
        # QDQ holds the scales: no calibration table is needed.
        "trt_int8_enable": integer,
    }


def _require_used(provider: str, used: Sequence[str]) -> None:
    """Raise `RuntimeMissing` unless a session that was opened uses its provider.

    onnxruntime goes on without a provider whose libraries do not load, or that finds no GPU.
    """
    if PROVIDERS[provider] not in used:
        raise RuntimeMissing(
            f"{provider}: onnxruntime has {PROVIDERS[provider]}, but it does not start: expected "
            f"{NEEDS[provider]}",
            provider,
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(
            f"{folder}: cannot be created for TensorRT's engines: {exc.strerror or exc}; "
            "name another folder by CACHE_DIRECTORY"
        ) from exc
