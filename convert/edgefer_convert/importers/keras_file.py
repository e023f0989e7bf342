"""Models made elsewhere with Keras: `.h5`, `.keras` or SavedModel, of Keras 2 or 3."""

from __future__ import annotations

import importlib
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgefer.errors import ConversionError
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer_convert.formats.onnx_files import to_onnx
from edgefer_convert.formats.representative import Pictures
from edgefer_convert.importers import keras_source
from edgefer_convert.importers.external_model import PIXELS, side_of
from edgefer_convert.importers.source import Made


class KerasFile:
    """A Keras model in our form."""

    def __init__(self, path: Path, library: Any, model: Any) -> None:
        self.path = path
        self.architecture = str(model.name)
        self.side = int(model.input_shape[1])
        self.outputs = int(model.output_shape[1])
        self._library = library
        self._model = model
        self._onnx = b""
        self.logits: Callable[[Pixels], Logits] = keras_source.logits_of(model)

    def in_order(self, order: Sequence[int]) -> KerasFile:
        """Return the model with its outputs in another order; this one has it from then on, too.

        The last layer's weights change places. Where it is not dense, a layer that only arranges
        is added.
        """
        if list(order) == list(range(self.outputs)):
            return self
        layers, last = self._library.layers, _last(self._library, self._model)
        if isinstance(last, layers.Dense):
            last.set_weights([one[..., order] for one in last.get_weights()])
            return KerasFile(self.path, self._library, self._model)
        arrange = layers.Dense(self.outputs, use_bias=False, name="label_order")
        model = self._library.Model(self._model.input, arrange(self._model.output))
        arrange.set_weights([np.eye(self.outputs, dtype=np.float32)[:, order]])
        return KerasFile(self.path, self._library, model)

    def onnx(self) -> bytes:
        """Return the model as a float ONNX file."""
        self._onnx = self._onnx or to_onnx(self._model)
        return self._onnx

    def makers(self, pictures: Callable[[], Pictures]) -> dict[str, Callable[[Made], bytes]]:
        """Return what makes each format."""
        return {**keras_source.makers(self._model, None, pictures), "onnx": lambda _: self.onnx()}


def open_keras(path: Path, pixels: str) -> KerasFile:
    """Open a model that Keras wrote; `pixels` is how it saw black..white in training.

    A softmax at its end is taken off: our temperature needs logits. Raises
    `ConversionError` for what is no model of ours to convert.
    """
    _refuse_code(path)
    library = _library(path)
    model = _load(path, library)
    _require_one(path, model)
    shape = model.input_shape[1:]
    side_of(path, shape)
    if len(model.output_shape) != 2 or not model.output_shape[1]:
        raise ConversionError(
            f"{path}: gives {model.output_shape[1:]}; wanted is one number for each label"
        )
    logits = _without_softmax(library, model)
    return KerasFile(path, library, _in_our_form(library, logits, shape, pixels))


def _library(path: Path) -> Any:
    """The Keras that wrote a file: 3 is a package of its own, what was before is tf-keras."""
    version = "2"
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", version)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "metadata.json" in archive.namelist():
                version = json.loads(archive.read("metadata.json")).get("keras_version", version)
    return importlib.import_module("keras" if str(version).startswith("3.") else "tf_keras")


def _refuse_code(path: Path) -> None:
    """Refuse Lambda layers: they are Python bytecode, which loading would run."""
    configuration = b""
    if path.is_dir():
        said = path / "keras_metadata.pb"
        configuration = said.read_bytes() if said.is_file() else b""
    elif h5py.is_hdf5(path):
        with h5py.File(path) as file:
            configuration = str(file.attrs.get("model_config", "")).encode()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "config.json" in archive.namelist():
                configuration = archive.read("config.json")
    if re.search(rb'"class_name": ?"Lambda"', configuration):
        raise ConversionError(
            f"{path}: has a Lambda layer, which is code that would run here; rebuild the model "
            "from layers of Keras"
        )


def _load(path: Path, library: Any) -> Any:
    try:
        model = library.models.load_model(path, compile=False)
    except Exception as exc:  # a file of anyone's may fail in any way
        raise ConversionError(f"{path}: {_reason(str(exc))}") from exc
    if not isinstance(model, library.Model):
        raise ConversionError(
            f"{path}: a SavedModel that Keras did not write; save the Keras model as .keras"
        )
    return model


def _reason(text: str) -> str:
    """What Keras says, in one line."""
    unknown = re.search(r"(?:Unknown layer: '?|locate class '|object of type `)(\w+)", text)
    if unknown:
        name = unknown[1]
        return f"layer '{name}' is not Keras's own; rebuild the model from layers of Keras"
    if "No model config" in text:
        return "holds weights alone; save the whole model: model.save(...)"
    first = next(iter(text.splitlines()), "")[:160]
    return f"not a model that Keras can read; wanted is .h5, .keras or a SavedModel: {first}"


def _require_one(path: Path, model: Any) -> None:
    """Refuse models with several inputs or outputs."""
    for what, found in (("input", model.inputs), ("output", model.outputs)):
        if found is None or len(found) != 1:
            raise ConversionError(
                f"{path}: has {len(found or ())} {what}s, wanted is one; of a run of ours, "
                "convert the run: --run FOLDER"
            )


def _without_softmax(library: Any, model: Any) -> Any:
    """The model up to its logits."""
    last = model.layers[-1]
    if isinstance(last, library.layers.Softmax):
        return library.Model(model.inputs[0], last.input, name=model.name)
    last = _last(library, model)
    if getattr(last, "activation", None) is library.activations.softmax:
        last.activation = library.activations.linear
    return model


def _last(library: Any, model: Any) -> Any:
    """The layer that gives the outputs, however deep in models within the model."""
    last = model.layers[-1]
    while isinstance(last, library.Model):
        last = last.layers[-1]
    return last


def _in_our_form(library: Any, model: Any, shape: Sequence[int], pixels: str) -> Any:
    """The model (height, width, channels in) behind an input of one grey picture in 0..1."""
    side, _, channels = shape
    scale, offset = PIXELS[pixels]
    picture = library.layers.Input((side, side, 1), name="picture")
    x = picture
    if channels == 3:
        x = library.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    if (scale, offset) != (1.0, 0.0):
        x = library.layers.Rescaling(scale, offset, name="pixels")(x)
    return library.Model(picture, model(x), name=model.name)
