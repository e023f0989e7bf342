"""Keras models: the converter to each format, and files of any model of Keras 2 or 3."""

from __future__ import annotations

import importlib
import json
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import tensorflow as tf

from edgefer.errors import ConversionError
from edgefer.files import from_zip, to_zip
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, Preprocess
from edgefer_convert.formats import onnx_int8
from edgefer_convert.formats.onnx_files import to_int8_onnx, to_onnx
from edgefer_convert.formats.tflite import (
    to_dynamic,
    to_float16,
    to_int8,
    to_int8_after_training,
    to_int16x8,
)
from edgefer_convert.importers.source import PIXEL_RANGES, Converter, ImageSource, input_side

BATCH = 512
HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
"""Policies of Keras whose layers compute in half precision, which no format takes."""


def converters(model: Any, qat_model: Any | None, images: ImageSource) -> dict[str, Converter]:
    """Return the converter of a float Keras model to each format.

    Without a quantization-aware form, int8 gets its ranges from representative images.
    """
    names = list(model.output_names)

    def int8(ends: Any = tf.int8) -> bytes:
        if qat_model:
            return to_int8(qat_model, ends)
        return to_int8_after_training(model, images(), ends)

    return {
        "int8": lambda _: int8(),
        "onnx": lambda _: to_onnx(model),
        "onnx-int8": lambda files: to_int8_onnx(files.get("int8") or int8(), names),
        "onnx-symmetric": lambda files: onnx_int8.to_symmetric(files["onnx"], images()),
        "float16": lambda _: to_float16(model),
        "uint8": lambda _: int8(tf.uint8),
        "dynamic": lambda _: to_dynamic(model),
        "int16x8": lambda _: to_int16x8(model, images()),
        "keras": lambda _: to_keras(model),
    }


def logits_of(model: Any) -> Callable[[Pixels], Logits]:
    """Return the function from face crops uint8 (N, side, side) to a float model's logits, those
    of several heads side by side."""
    preprocess = Preprocess(size=model.input_shape[1])

    def logits(images: Pixels) -> Logits:
        inputs = preprocess.to_float(images)
        outputs = model.predict(inputs, batch_size=BATCH, verbose=0)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        return np.asarray(np.concatenate(outputs, axis=1), np.float32)

    return logits


def to_keras(model: Any) -> bytes:
    """Return the model as a `.keras` file: the same bytes for the same model.

    Keras dates the archive and its metadata; both dates are removed.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = Path(folder) / "model.keras"
        model.save(path)
        files = from_zip(path.read_bytes())
    metadata = msgspec.json.decode(files["metadata.json"])
    files["metadata.json"] = msgspec.json.encode({**metadata, "date_saved": ""})
    return to_zip(files)


class KerasModel:
    """An external Keras model, adapted."""

    def __init__(self, path: Path, library: Any, model: Any) -> None:
        self.path = path
        self.architecture = str(model.name)
        self.side = int(model.input_shape[1])
        self.outputs = int(model.output_shape[1])
        self._library = library
        self._model = model
        self._onnx = b""
        self.logits: Callable[[Pixels], Logits] = logits_of(model)

    def reordered(self, order: Sequence[int]) -> KerasModel:
        """Return the model with its outputs in another order; this one changes, too.

        The last layer's weights change places. Where it is not dense, a layer that only reorders
        is added.
        """
        if list(order) == list(range(self.outputs)):
            return self
        layers, last = self._library.layers, _last_layer(self._library, self._model)
        if isinstance(last, layers.Dense):
            last.set_weights([one[..., order] for one in last.get_weights()])
            return KerasModel(self.path, self._library, self._model)
        reorder = layers.Dense(self.outputs, use_bias=False, name="label_order")
        model = self._library.Model(self._model.input, reorder(self._model.output))
        reorder.set_weights([np.eye(self.outputs, dtype=np.float32)[:, order]])
        return KerasModel(self.path, self._library, model)

    def onnx(self) -> bytes:
        """Return the model as a float ONNX file."""
        self._onnx = self._onnx or to_onnx(self._model)
        return self._onnx

    def converters(self, images: ImageSource) -> dict[str, Converter]:
        """Return the converter to each format."""
        return {**converters(self._model, None, images), "onnx": lambda _: self.onnx()}


def open_keras(path: Path, pixels: str) -> KerasModel:
    """Open a model that Keras wrote; `pixels` is the range of black..white in its training.

    A softmax at its end is removed: our temperature needs logits. Raises `ConversionError` for
    what is no model, or none that can be converted.
    """
    _refuse_lambda(path)
    library = _library(path)
    model = _load(path, library)
    for what, tensors in (("input", model.inputs), ("output", model.outputs)):
        if tensors is None or len(tensors) != 1:
            raise ConversionError(
                f"{path}: expected one {what}, got {len(tensors or ())}; of a run of edgefer, "
                "convert the run: --run FOLDER"
            )
    shape = model.input_shape[1:]
    input_side(path, shape)
    if len(model.output_shape) != 2 or not model.output_shape[1]:
        raise ConversionError(
            f"{path}: expected one output value for each label, got {model.output_shape[1:]}"
        )
    logits = _without_softmax(library, model)
    return KerasModel(path, library, _adapted(library, logits, shape, pixels))


def _config(path: Path, name: str, key: str) -> bytes:
    """Return a part of a file's configuration: an HDF5 file's attribute or an archive's entry."""
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            return str(file.attrs.get(key, "")).encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.read(name) if name in archive.namelist() else b""
    return b""


def _library(path: Path) -> Any:
    """Return the Keras that wrote a file: Keras 3, or tf-keras for those before."""
    version = _config(path, "metadata.json", "keras_version").decode(errors="replace")
    if version.startswith("{"):
        with suppress(ValueError):
            # What is no JSON, Keras refuses.
            version = str(json.loads(version).get("keras_version", ""))
    return importlib.import_module("keras" if version.startswith("3.") else "tf_keras")


def _refuse_lambda(path: Path) -> None:
    """Refuse Lambda layers: they are Python bytecode, which loading would run."""
    metadata = path / "keras_metadata.pb"
    saved = metadata.read_bytes() if metadata.is_file() else b""
    if re.search(
        rb'"class_name": ?"Lambda"', saved or _config(path, "config.json", "model_config")
    ):
        raise ConversionError(
            f"{path}: has a Lambda layer, which is code that would run here; rebuild the model "
            "from layers of Keras"
        )


def _load(path: Path, library: Any) -> Any:
    try:
        model = library.models.load_model(path, compile=False)
    except Exception as exc:  # a file from elsewhere may fail in any way
        cut = path.suffix == ".keras" and path.is_file() and not zipfile.is_zipfile(path)
        hint = "; it is damaged or cut off: copy it again" if cut else ""
        raise ConversionError(f"{path}: {_reason(str(exc))}{hint}") from exc
    if not isinstance(model, library.Model):
        raise ConversionError(
            f"{path}: a SavedModel that Keras did not write; save the Keras model as .keras"
        )
    return _in_float32(model)


def _in_float32(model: Any) -> Any:
    """Return a model that was trained in half precision as one that computes in float32."""
    if not _computes_in_half(model):
        return model
    made = type(model).from_config(_without_half(model.get_config()))
    made.set_weights([one.astype(np.float32) for one in model.get_weights()])
    return made


def _computes_in_half(model: Any) -> bool:
    return any(
        getattr(layer, "compute_dtype", None) in HALF
        or (hasattr(layer, "layers") and _computes_in_half(layer))
        for layer in model.layers
    )


def _without_half(config: Any, of_type: bool = False) -> Any:
    """Return a configuration of Keras whose types (`dtype`) are no half precision."""
    if isinstance(config, dict):
        return {key: _without_half(one, of_type or key == "dtype") for key, one in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_without_half(one, of_type) for one in config)
    return "float32" if of_type and config in HALF else config


def _reason(text: str) -> str:
    """Return Keras's error in one line."""
    unknown = re.search(r"(?:Unknown layer: '?|locate class '|object of type `)(\w+)", text)
    if unknown:
        name = unknown[1]
        return f"layer '{name}' is not Keras's own; rebuild the model from layers of Keras"
    if "No model config" in text:
        return "holds weights alone; save the whole model: model.save(...)"
    first = next(iter(text.splitlines()), "")[:160]
    return f"not a model that Keras can read; expected .h5, .keras or a SavedModel: {first}"


def _without_softmax(library: Any, model: Any) -> Any:
    """Return the model up to its logits."""
    last = model.layers[-1]
    if isinstance(last, library.layers.Softmax):
        return library.Model(model.inputs[0], last.input, name=model.name)
    last = _last_layer(library, model)
    if getattr(last, "activation", None) is library.activations.softmax:
        last.activation = library.activations.linear
    return model


def _last_layer(library: Any, model: Any) -> Any:
    """Return the layer of the outputs, however deep in models within the model."""
    last = model.layers[-1]
    while isinstance(last, library.Model):
        last = last.layers[-1]
    return last


def _adapted(library: Any, model: Any, shape: Sequence[int], pixels: str) -> Any:
    """Return the model (height, width, channels in) behind an input of one grey image in 0..1."""
    side, _, channels = shape
    scale, offset = PIXEL_RANGES[pixels]
    image = library.layers.Input((side, side, 1), name="picture")
    x = image
    if channels == 3:
        x = library.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    if (scale, offset) != (1.0, 0.0):
        x = library.layers.Rescaling(scale, offset, name="pixels")(x)
    return library.Model(image, model(x), name=model.name)
