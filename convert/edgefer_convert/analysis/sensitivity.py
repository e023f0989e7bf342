"""Quantization sensitivity: each layer's error in int8, and what it alone costs in accuracy.

The reference is the dequantized int8 file (`dequantize.py`): its own graph and weights without
rounding between layers. The cost of a layer's activations is the change of the outputs when
they alone are rounded to int8. The cost of its weights can only be estimated from the file: they
are stored rounded, so the change under another rounding of the same size, drawn at random,
stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.affine import Affine
from edgefer.bundle import Bundle
from edgefer.console import track
from edgefer.errors import ConversionError
from edgefer.heads import Decoder
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels, Preprocess
from edgefer.runtime import open_classifier
from edgefer.tflite_file import Graph, GraphTensor, Op, read_graph
from edgefer_convert.analysis.dequantize import (
    STORAGE_OPS,
    FloatArray,
    Interpreter,
    along_axis,
    dequantize,
    dequantized,
    with_outputs,
)

SEED = 1
"""Of the drawn roundings of weights."""

UNROUNDED = {
    *STORAGE_OPS, "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "MAX_POOL_2D", "PAD", "PACK",
    "SLICE", "STRIDED_SLICE", "SPLIT", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE",
}  # fmt: skip
"""Operations that pass values on as they are, so that nothing is rounded again."""

Int8Array = NDArray[np.int8]


class Cost(msgspec.Struct, frozen=True):
    """Change of the outputs by one rounding alone."""

    change: float
    """Mean difference in a label's probability."""
    labels: float
    """Share of the faces that get another label, 0..1."""


class Layer(msgspec.Struct, frozen=True):
    """One operation of the int8 file."""

    name: str
    """Of the Keras layer, where the file has it."""
    op: str
    place: int
    """Its number in the order in which they run."""
    shape: tuple[int, ...]
    """Of its output, without the batch."""
    rounding: float
    """Error of rounding this output to int8, alone, relative to its size (root mean square)."""
    accumulated: float
    """Error of this output in the int8 file, all before it included."""
    clipped: float
    """Share of its values beyond what its scale can hold, 0..1."""
    activations: Cost
    weights: Cost | None
    """None for an operation that has none."""

    @property
    def cost(self) -> float:
        """Both changes together, by which layers are sorted."""
        return self.activations.change + (self.weights.change if self.weights else 0.0)


class Step(msgspec.Struct, frozen=True):
    """One step from the float model to the int8 file."""

    name: str
    agreement: float
    """Share of the faces that keep their label in this step, 0..1."""
    change: float
    """Mean difference in a label's probability in this step."""


class Sensitivity(msgspec.Struct, frozen=True):
    """Where the accuracy of an int8 file is lost."""

    model: str
    faces: str
    """Their source."""
    n: int
    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]
    """By cost, the highest first."""


@dataclass(frozen=True)
class Int8Model:
    """An int8 TFLite file and its inputs."""

    name: str
    content: bytes
    decoder: Decoder
    """Of the outputs, side by side, to what is compared."""
    preprocess: Preprocess
    affine: Affine
    """Of the input."""
    float_logits: Callable[[Pixels], Logits] | None
    """The float model that it was made from, where there is one: logits of face crops."""


def int8_model_of(bundle: Bundle, labels: str | None = None) -> Int8Model:
    """Return a bundle's int8 file, read by the label set `labels`, by default its first head's.

    Raises `BundleError` where it has none and `SettingsError` for other labels.
    """
    manifest = bundle.manifest
    model = open_classifier(bundle, "onnx") if "onnx" in manifest.files else None
    return Int8Model(
        name=manifest.name,
        content=bundle.read("int8"),
        decoder=manifest.decoder(labels or manifest.label_sets[0], "int8"),
        preprocess=manifest.input.preprocess,
        affine=manifest.input.affine,
        float_logits=model.logits if model else None,
    )


def measure_sensitivity(model: Int8Model, faces: Pixels, source: str) -> Sensitivity:
    """Measure each layer of an int8 file on face crops uint8 (N, size, size).

    Raises `ConversionError` for a file that is not int8 throughout.
    """
    graph = read_graph(model.content, model.name)
    _require_int8(graph, model.name)
    study = _Study(model, graph, faces)
    errors = study.errors()
    ops = track(study.ops, "layers")
    layers = [study.layer(place, op, errors[op.outputs[0]]) for place, op in enumerate(ops)]
    return Sensitivity(
        model=model.name,
        faces=source,
        n=len(faces),
        steps=study.steps(faces),
        layers=tuple(sorted(layers, key=lambda layer: -layer.cost)),
    )


def _require_int8(graph: Graph, source: str) -> None:
    first = graph.tensors[graph.inputs[0]]
    if first.dtype != "int8" or not first.scales:
        raise ConversionError(f"{source}: expected an int8 input, got {first.dtype}")


@dataclass(frozen=True, slots=True)
class _Error:
    """Sums over all faces of one tensor: of squares, and of values beyond the scale."""

    signal: float
    rounding: float
    accumulated: float
    clipped: float
    count: float

    def relative(self, error: float) -> float:
        return math.sqrt(error / self.signal) if self.signal else 0.0


class _Study:
    """One dequantized file and its outputs, to which each rounding is compared."""

    def __init__(self, model: Int8Model, graph: Graph, faces: Pixels) -> None:
        self._model, self._graph = model, graph
        self._real = model.preprocess.to_float(faces)
        self._int8 = model.preprocess.to_int8(faces, model.affine)
        self.ops = [op for op in graph.ops if op.name not in UNROUNDED]
        self._reference = self._probabilities()

    def layer(self, place: int, op: Op, error: _Error) -> Layer:
        """Measure the cost of one operation's output and of its weights."""
        output, weights = self._graph.tensors[op.outputs[0]], self._redrawn(op)
        return Layer(
            name=layer_name(output.name) or op.name.lower(),
            op=op.name,
            place=place,
            shape=output.shape[1:],
            rounding=error.relative(error.rounding),
            accumulated=error.relative(error.accumulated),
            clipped=error.clipped / max(error.count, 1),
            activations=self._cost(self._probabilities(rounded=op.outputs[0])),
            weights=self._cost(self._probabilities(weights=weights)) if weights else None,
        )

    def errors(self) -> dict[int, _Error]:
        """Run the file in int8 and dequantized; return each output's errors by its index."""
        indices = [op.outputs[0] for op in self.ops]
        real_net = Interpreter(dequantize(self._model.content, self._graph, indices))
        int8_net = Interpreter(with_outputs(self._model.content, indices))
        sums = np.zeros((len(indices), 5))
        rows = list(zip(self._real, self._int8, strict=True))
        for real, int8 in track(rows, "activations"):
            outputs = zip(indices, real_net.run(real), int8_net.run(int8), strict=True)
            sums += [_errors(self._graph.tensors[index], *pair) for index, *pair in outputs]
        return {index: _Error(*map(float, row)) for index, row in zip(indices, sums, strict=True)}

    def steps(self, faces: Pixels) -> tuple[Step, ...]:
        """Separate weights from activations: float model to dequantized file to int8 file."""
        net, outputs = Interpreter(self._model.content), self._graph.outputs
        affines = [_affine(self._graph.tensors[index]) for index in outputs]
        int8 = self._read(
            [affine.dequantize(part) for affine, part in zip(affines, net.run(row), strict=True)]
            for row in self._int8
        )
        steps = [_step("activations: rounded to int8", self._reference, int8)]
        if self._model.float_logits is not None:
            model = self._model.decoder.probabilities(self._model.float_logits(faces))
            steps.insert(0, _step("weights: fine-tuned and rounded", model, self._reference))
            steps.append(_step("both: float model to int8", model, int8))
        return tuple(steps)

    def _redrawn(self, op: Op) -> dict[int, FloatArray]:
        """Return an operation's weights with another rounding error of up to half a scale."""
        rng, drawn = np.random.default_rng(SEED), {}
        for index in op.inputs:
            tensor = self._graph.tensors[index] if index >= 0 else None
            if tensor is None or tensor.dtype != "int8":
                continue
            values = dequantized(tensor)
            if values is not None:
                noise = rng.uniform(-0.5, 0.5, values.shape) * along_axis(tensor)[0]
                drawn[index] = (values + noise).astype(np.float32)
        return drawn

    def _probabilities(
        self, rounded: int | None = None, weights: Mapping[int, FloatArray] | None = None
    ) -> FloatArray:
        content, outputs = self._model.content, self._graph.outputs
        net = Interpreter(dequantize(content, self._graph, outputs, rounded, weights))
        return self._read(net.run(row) for row in self._real)

    def _read(self, outputs: Iterable[Sequence[NDArray[Any]]]) -> FloatArray:
        """Return the probabilities of each face's outputs."""
        logits = np.stack([np.concatenate(parts) for parts in outputs])
        return self._model.decoder.probabilities(logits)

    def _cost(self, probabilities: FloatArray) -> Cost:
        step = _step("", self._reference, probabilities)
        return Cost(step.change, 1 - step.agreement)


def _errors(tensor: GraphTensor, real: FloatArray, int8: Int8Array) -> Sequence[float]:
    """Return one face's sums for `_Error`."""
    affine = _affine(tensor)
    steps = np.round(real / affine.scale) + affine.zero_point
    rounded = affine.dequantize(affine.quantize(real))
    return (
        float(np.square(real).sum()),
        float(np.square(rounded - real).sum()),
        float(np.square(affine.dequantize(int8) - real).sum()),
        float(((steps < -128) | (steps > 127)).sum()),
        float(real.size),
    )


def _affine(tensor: GraphTensor) -> Affine:
    return Affine(tensor.scales[0], tensor.zero_points[0])


def _step(name: str, before: FloatArray, after: FloatArray) -> Step:
    same = before.argmax(-1) == after.argmax(-1)
    return Step(name, float(same.mean()), float(np.abs(after - before).mean()))


def layer_name(tensor: str) -> str:
    """Return the Keras layer in a tensor's name, or nothing: the converter joins the names of
    all layers that it fused by `;`, the one that carries the weights last."""
    parts = tensor.rpartition(";")[2].split("/")
    return parts[-2].removeprefix("quant_") if len(parts) > 1 else ""
