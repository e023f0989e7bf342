"""Initial weights of a training: from earlier runs, from model bundles, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tf_keras as keras
from onnx import numpy_helper

from edgefer.bundle import Bundle, open_bundle
from edgefer.errors import BundleMissing, RunError, SettingsError
from edgefer.preprocess import Pixels, Preprocess
from edgefer_train.architectures import build
from edgefer_train.architectures.graph import Graph
from edgefer_train.architectures.transfer import NONE
from edgefer_train.recipe import Recipe
from edgefer_train.run import Run, run_at

MEASURED = 512
"""Images from which the statistics of folded normalizations are taken anew."""

layers = keras.layers
Source = Run | Bundle
Heads = Mapping[str, Sequence[str]]
"""Labels of each output of a model, by its name."""


def build_model(
    recipe: Recipe, heads: Heads, side: int | None, images: Pixels | None = None
) -> Any:
    """Return the model of a recipe, with the weights of the runs and bundles that it names.

    `heads` has the labels of each. The first one gives the body, each its own head. `images`
    (N, side, side) are those of Training, for `measure_normalizations`. Raises `RunError` for a
    source of another architecture or without float weights, and what `build` raises.
    """
    names = (recipe.weights,) if isinstance(recipe.weights, str) else recipe.weights
    sources = {name: _open(name) for name in names}
    base, *more = [name for name, source in sources.items() if source is None] or [NONE]
    if more:
        raise SettingsError(f"`weights`: {base}, {more[0]}: no run and no bundle; at most one base")
    sizes = {name: len(labels) for name, labels in heads.items()}
    model = build(recipe.architecture, sizes, side, base, recipe.frozen, recipe.top)
    for source in reversed(sources.values()):
        if isinstance(source, Run):
            load_weights_from(model, source, heads)
        elif source:
            load_bundle_weights(model, source, heads)
    if images is not None and any(isinstance(source, Bundle) for source in sources.values()):
        measure_normalizations(model, images[:MEASURED])
    return model


def _open(name: str) -> Source | None:
    """The run or the bundle of this name; None for what `build` takes: `none`, a base's weights."""
    if name == NONE:
        return None
    run = run_at(name)
    if run is not None:
        return run
    try:
        return open_bundle(name) if Path(name).suffix != ".h5" else None
    except BundleMissing:
        return None


def load_weights_from(model: Any, run: Run, heads: Heads) -> None:
    """Give a model the weights of a run's float model, layer by layer of the same name.

    A head of other labels, though as many, keeps its own. Raises `RunError`.
    """
    record = run.record()
    _require_architecture(model, record.recipe.architecture, run.folder)
    source = keras.models.load_model(run.model(run.float), compile=False)
    weights = {
        layer.name: layer.get_weights()
        for layer in source.layers
        if (head := layer.name.removesuffix("_map")) not in heads
        or record.heads.get(head) == tuple(heads[head])
    }
    for layer in model.layers:
        values = weights.get(layer.name, [])
        if [one.shape for one in values] == [tuple(one.shape) for one in layer.weights]:
            layer.set_weights(values)


def load_bundle_weights(model: Any, bundle: Bundle, heads: Heads) -> None:
    """Give a model the weights of a bundle's float ONNX file, by the names in it.

    A normalization that is folded there gets the bias as its beta, mean 0 and variance 1. Heads
    of other labels keep their own weights. Raises `RunError`.
    """
    architecture = str(bundle.manifest.evidence.recipe.get("architecture", "?"))
    _require_architecture(model, architecture, bundle.path)
    if "onnx" not in bundle.manifest.files:
        raise RunError(f"{bundle.path}: has no float weights (onnx); name a bundle that has them")
    graph = onnx.load_model_from_string(bundle.read("onnx")).graph
    # A head of other labels, though of the same name, is none that the model has.
    known = [head.label_set if tuple(heads.get(head.label_set, ())) == head.labels else ""
             for head in bundle.manifest.heads]  # fmt: skip
    missing = _OnnxWeights(graph, model, known).copy()
    if missing:
        raise RunError(
            f"{bundle.path}: its ONNX file does not name the weights of {missing[0]}; name the "
            f"folder of a run of {architecture} as `weights`"
        )


def _require_architecture(model: Any, architecture: str, where: Path) -> None:
    if architecture != model.name:
        raise RunError(
            f"{where}: holds {architecture}, the recipe needs {model.name}; "
            f"name a run or a bundle of {model.name} as `weights`"
        )


class _OnnxWeights:
    """Weights of an ONNX file as tf2onnx writes it: nodes are named after Keras layers."""

    def __init__(self, graph: onnx.GraphProto, model: Any, heads: Sequence[str]) -> None:
        self.nodes = graph.node
        self.values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        self.graph = Graph(model)
        self.layers = {layer.name: layer for layer in model.layers}
        outputs = [item.name for item in graph.output]
        self.heads = dict(zip(outputs, heads, strict=True))
        """Label set of each output of the file."""
        self.made_by: dict[str, Any] = {}
        """The Keras layer behind each tensor of the file, as far as it is known."""

    def copy(self) -> list[str]:
        """Copy what the file names; return the layers of body and head that it does not."""
        done = set[str]()
        for node in self.nodes:
            own = [self.values[name] for name in node.input if name in self.values]
            for layer, weights in self._weights(node, own):
                layer.set_weights(weights)
                done.add(layer.name)
        heads = {name.removesuffix("_map") for name in self.graph.model.output_names}
        others = heads - {*self.heads.values()}
        return [
            name
            for name, layer in self.layers.items()
            if layer.weights and name not in done and name.removesuffix("_map") not in others
        ]

    def _weights(self, node: onnx.NodeProto, own: Sequence[np.ndarray]) -> list[tuple[Any, Any]]:
        """The Keras layers that a node's arrays belong to, and their weights."""
        if node.op_type == "BatchNormalization":
            layer = self.made_by.get(node.input[0])
            after = self.graph.consumer(layer) if layer is not None else None
            return [(after, list(own))] if isinstance(after, layers.BatchNormalization) else []
        head = self.heads.get(node.output[0])
        if node.op_type not in ("Conv", "Gemm") or not own or head == "":
            return []
        layer = self.layers.get(head or _layer_name(node))
        if layer is None:
            return []
        if not isinstance(layer, layers.BatchNormalization):
            self.made_by[node.output[0]] = layer
            return [(layer, [_kernel(layer, own[0]), *own[1:]])]
        convolution, one = self.graph.producer(layer), np.ones_like(own[1])
        gamma = one * np.sqrt(1 + layer.epsilon)
        weights = [gamma, own[1], one * 0, one]
        return [(convolution, [_kernel(convolution, own[0])]), (layer, weights)]


def _layer_name(node: onnx.NodeProto) -> str:
    """`stem` of a node named `Conv:small/stem/Conv2D:0`."""
    _, _, inner = node.name.partition("/")
    return inner.partition("/")[0]


def _kernel(layer: Any, values: np.ndarray) -> np.ndarray:
    """ONNX has filters first (O, I, H, W), Keras last (H, W, I, O); dense ones are alike."""
    if values.ndim != 4:
        return values
    last = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return np.asarray(values.transpose(last))


def measure_normalizations(model: Any, images: Pixels) -> None:
    """Give each normalization the statistics of its inputs on images, its outputs kept.

    What was folded has lost them, and a step of training normalizes by its batch: with a mean
    of 0 and a variance of 1 in their place the first step would undo what was learned.
    """
    found = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    inputs = keras.Model(model.input, [layer.input for layer in found])
    side = model.input_shape[1] or images.shape[1]
    pixels = Preprocess(size=side).to_float(images)
    for layer, values in zip(found, inputs.predict(pixels, verbose=0), strict=True):
        axes = tuple(range(values.ndim - 1))
        gamma, beta, mean, variance = layer.get_weights()
        scale = gamma / np.sqrt(variance + layer.epsilon)
        shift = beta - mean * scale
        mean, variance = values.mean(axes), values.var(axes)
        gamma = scale * np.sqrt(variance + layer.epsilon)
        layer.set_weights([gamma, shift + mean * scale, mean, variance])
