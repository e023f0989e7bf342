"""The runtimes of a model, behind one protocol: the device opens its classifier here, and so do
the gates and the evaluation.

int8 outputs differ by a step or two between runtimes and builds, so a model is evaluated by
the same code that will run it.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from edgefer.bundle import Bundle
from edgefer.console import FallbackWarning
from edgefer.errors import (
    BundleCorrupt,
    BundleError,
    MissingExtra,
    RuntimeMissing,
    SettingsError,
)
from edgefer.litert import EDGETPU, MOBILE, LiteRT
from edgefer.litert_gpu import GPU, LiteRTGpu
from edgefer.metrics import Logits
from edgefer.onnx_runtime import OnnxRuntime
from edgefer.preprocess import Pixels
from edgefer.rknn_runtime import RKNN, Rknn


class Classifier(Protocol):
    """Predicts expressions of face crops."""

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels of all heads) of face crops uint8 (N, size, size).

        `Manifest.decoder` turns them into probabilities.
        """
        ...


class Keras:
    """The float Keras file, in the Keras that wrote it; never on a device."""

    def __init__(self, bundle: Bundle, format: str, _threads: int = 1) -> None:
        self.manifest = bundle.manifest
        self._model = keras_model(bundle.read(format), bundle.path)

    def logits(self, crops: Pixels) -> Logits:
        """Return logits float32 (N, labels of all heads) of face crops uint8 (N, size, size)."""
        images = self.manifest.input.preprocess.to_float(crops)
        results = self._model(images, training=False)
        results = results if isinstance(results, list) else [results]
        return np.asarray(np.concatenate(results, axis=1), np.float32)


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
    "uint8": LiteRT,
    "float16": LiteRT,
    "dynamic": LiteRT,
    "onnx": OnnxRuntime,
    "onnx-symmetric": OnnxRuntime,
    "int16x8": LiteRT,
    MOBILE: LiteRT,
    "keras": Keras,
}
"""By format of the bundle, in order of preference for a device."""


class Accelerator(NamedTuple):
    """A runtime on an accelerator, which a device has or not."""

    formats: tuple[str, ...]
    """Supported formats, in order of preference."""
    open: Opener


ACCELERATORS = {
    EDGETPU: Accelerator((EDGETPU,), LiteRT),
    RKNN: Accelerator((RKNN,), Rknn),
    GPU: Accelerator(("float16",), LiteRTGpu),
    "tensorrt": Accelerator(("onnx-symmetric", "onnx"), partial(OnnxRuntime, provider="tensorrt")),
    **{
        name: Accelerator(formats, partial(OnnxRuntime, provider=name))
        for name, formats in {
            "cuda": ("onnx",),
            "openvino": ("onnx-int8", "onnx"),
            "qnn": ("onnx-int8", "onnx"),
            "coreml": ("onnx",),
        }.items()
    },
}
"""By name. None is used unless it is named, as `edgefer bench --tune` does with the fastest."""

FALLBACKS = {"tensorrt": "cuda"}
"""What is tried where an accelerator cannot be opened; of the others it is the processor."""


FORMATS = {
    "litert": ("int8", "uint8", "float16", "dynamic", "int16x8", MOBILE),
    "onnxruntime": ("onnx-int8", "onnx", "onnx-symmetric"),
    **{name: accelerator.formats for name, accelerator in ACCELERATORS.items()},
}
"""By runtime of a device: supported formats, in order of preference."""


def first_format(files: Container[str]) -> str | None:
    """Return the first of `RUNTIMES` among the files of a bundle, or None."""
    return next((format for format in RUNTIMES if format in files), None)


def open_classifier(bundle: Bundle, name: str | None = None, threads: int = 1) -> Classifier:
    """Open a bundle's model in the runtime of a format, by default the first that it has.

    `name` is a format, a runtime or an accelerator. Raises `SettingsError` for an unknown one,
    `MissingExtra` and `RuntimeMissing` where its runtime is absent, and `BundleError`
    where the bundle lacks the file.
    """
    if name not in RUNTIMES:
        name = choose(bundle, name)
    if name in RUNTIMES:
        return RUNTIMES[name](bundle, name, threads)
    formats, opened = ACCELERATORS[name]
    format = next(format for format in formats if format in bundle.manifest.files)
    return opened(bundle, format, threads)


def open_or_fall_back(bundle: Bundle, name: str | None = None, threads: int = 1) -> Classifier:
    """Open as `open_classifier` does, with the next of `FALLBACKS` for an accelerator that fails.

    A `FallbackWarning` says so. Raises as `open_classifier`, but for the accelerator.
    """
    while name in ACCELERATORS:
        try:
            return open_classifier(bundle, name, threads)
        except (RuntimeMissing, MissingExtra) as exc:
            name = FALLBACKS.get(name)
            instead = f"the runtime {name}" if name else "the processor"
            warnings.warn(f"{exc}; using {instead} instead", FallbackWarning, stacklevel=2)
    return open_classifier(bundle, name, threads)


def runtime_of(name: str) -> str:
    """Return the runtime of a format, by itself that of the processor, or of a runtime's name.

    Raises `SettingsError` for a name that no device runs.
    """
    if name in FORMATS:
        return name
    for runtime, formats in FORMATS.items():
        if name in formats:
            return runtime
    raise SettingsError(f"unknown runtime '{name}'; known: {', '.join(known_names())}")


def known_names() -> list[str]:
    """Return every name that `choose` accepts."""
    formats = (format for formats in FORMATS.values() for format in formats)
    return list(dict.fromkeys((*FORMATS, *formats)))


def choose(bundle: Bundle, name: str | None = None) -> str:
    """Return the name for `open_classifier` of a runtime or a format: a format, or an
    accelerator.

    Without a name it is the first of `RUNTIMES` that the bundle has. Raises `SettingsError` for an
    unknown name and `BundleError` for a bundle that has no file for it.
    """
    if name is None:
        return first_format(bundle.manifest.files) or "int8"
    runtime_of(name)
    formats = FORMATS.get(name) or (name,)
    found = next((format for format in formats if format in bundle.manifest.files), None)
    if found is None:
        have = [format for format in known_names() if format in bundle.manifest.files]
        raise BundleError(
            f"{bundle.path}: has no file for the runtime '{name}' ({', '.join(formats)}); "
            f"it has: {', '.join(have) or 'none that a device runs'}"
        )
    return name if name in ACCELERATORS else found
