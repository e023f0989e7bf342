"""onnxruntime's execution providers: the processor, and NVIDIA's GPU by CUDA or by TensorRT.

Written from onnxruntime's documents and sources; nobody has run `cuda` or `tensorrt` yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgefer.cache import cache_folder
from edgefer.errors import RuntimeMissing, SettingsError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""By our names, onnxruntime's."""
ORDER = {"cpu": ("cpu",), "cuda": ("cuda", "cpu"), "tensorrt": ("tensorrt", "cuda", "cpu")}
"""By provider: itself, then those that take the operations which it does not know."""
INSTALL = "install onnxruntime-gpu in its place (for a Jetson, NVIDIA's build: docs/deploy.md)"

Wanted = list[tuple[str, dict[str, Any]]]
"""Providers of a session, each with its options, the one that goes before first."""


def has(provider: str) -> bool:
    """Whether onnxruntime is installed, and was built with a provider."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return PROVIDERS[provider] in onnxruntime.get_available_providers()


def wanted(provider: str, available: Sequence[str], model: bytes, integer: bool) -> Wanted:
    """Return what a session is opened with; `integer` is whether a model is int8 as QDQ.

    Raises `RuntimeMissing` where the installed onnxruntime was built without the provider.
    """
    if PROVIDERS[provider] not in available:
        have = ", ".join(available)
        raise RuntimeMissing(
            f"{provider}: this onnxruntime has no {PROVIDERS[provider]}, only {have}; {INSTALL}",
            provider,
        )
    options = tensorrt_options(model, integer) if provider == "tensorrt" else {}
    within = [PROVIDERS[one] for one in ORDER[provider]]
    own = PROVIDERS[provider]
    return [(one, options if one == own else {}) for one in within if one in available]


def tensorrt_options(model: bytes, integer: bool) -> dict[str, Any]:
    """Return TensorRT's options (onnxruntime.ai, TensorRT Execution Provider), its folders made.

    An engine is built from a model in minutes and fits one GPU. onnxruntime finds it again by
    the names in the model's graph, not by its weights (`TRTGenerateId`): hence a folder for
    each model. How fast kernels are holds for all models, so that has a file for all.
    """
    kept = cache_folder() / "tensorrt"
    engines = kept / hashlib.sha256(model).hexdigest()[:16]
    _make(engines)
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(kept),
        # QDQ says itself what is rounded how: no calibration table is named.
        "trt_int8_enable": integer,
    }


def require_used(provider: str, used: Sequence[str]) -> None:
    """Raise `RuntimeMissing` unless a session that was opened uses its provider.

    What onnxruntime was built with is no promise: it goes on without a provider whose
    libraries do not load, or that finds no GPU.
    """
    if PROVIDERS[provider] not in used:
        raise RuntimeMissing(
            f"{provider}: onnxruntime has {PROVIDERS[provider]}, but it does not start: it wants a "
            "GPU of NVIDIA's and the CUDA, cuDNN and TensorRT that this onnxruntime was built with",
            provider,
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(
            f"{folder}: cannot be made for TensorRT's engines: {exc.strerror or exc}; "
            "name another folder by CACHE_DIRECTORY"
        ) from exc
