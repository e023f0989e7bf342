"""Where int8 loses accuracy: each layer's quantization error, and what it alone would cost.

The measure is the float twin (`twin.py`): the int8 file's own graph and weights
without rounding between layers. What a layer's activations cost is what the
answers change when they alone are rounded to int8. What its weights cost can
only be estimated from the file: they are stored rounded, so the answers'
change under another rounding of the same size, drawn at random, stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.console import track
from edgefer.errors import ConversionError
from edgefer.metrics import softmax
from edgefer.tflite_file import Graph, GraphTensor, Op, read_graph
from edgefer_convert.analysis.dequantize import PASSED_ON, Net, along_axis, reals, twin, watched

SEED = 1
"""Of the drawn roundings of weights."""

UNCHANGED = {
    *PASSED_ON, "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "MAX_POOL_2D", "PAD", "PACK",
    "SLICE", "STRIDED_SLICE", "SPLIT", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE",
}  # fmt: skip
"""Operations that hand values on as they are, so that nothing is rounded again."""

Reals = NDArray[np.float32]


class Cost(msgspec.Struct, frozen=True):
    """What answers change by one rounding alone."""

    change: float
    """Mean difference in a label's probability."""
    labels: float
    """Share of the faces that get another label, 0..1."""


class Layer(msgspec.Struct, frozen=True):
    """One operation of the int8 file."""

    name: str
    """Of the Keras layer, where the file tells."""
    op: str
    place: int
    """Its number in the order in which they run."""
    shape: tuple[int, ...]
    """Of its output, without the batch."""
    rounding: float
    """Error of rounding this output to int8, alone, relative to its size (root mean square)."""
    accumulated: float
    """Error of this output in the int8 file against the twin, all before it included."""
    clipped: float
    """Share of its values beyond what its scale can hold, 0..1."""
    activations: Cost
    weights: Cost | None
    """None for an operation that has none."""

    @property
    def cost(self) -> float:
        """What the layer is sorted by: both changes together."""
        return self.activations.change + (self.weights.change if self.weights else 0.0)


class Step(msgspec.Struct, frozen=True):
    """One step from the float model to the int8 file."""

    name: str
    agreement: float
    """Share of the faces that keep their label in this step, 0..1."""
    change: float
    """Mean difference in a label's probability in this step."""


class Explanation(msgspec.Struct, frozen=True):
    """Where the accuracy of an int8 file goes."""

    model: str
    faces: str
    n: int
    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]
    """Those that cost most first."""


@dataclass(frozen=True)
class Subject:
    """What is explained."""

    name: str
    int8: bytes
    """TFLite."""
    temperature: float
    float_logits: Reals | None
    """(faces, labels) of the float model that it was made from, where there is one."""


def explain(subject: Subject, pictures: Reals, counts: NDArray[np.int8], faces: str) -> Explanation:
    """Measure each layer of an int8 file on faces, as reals 0..1 and as its int8 input.

    Both are (N, size, size, 1); `faces` tells where they are from. Raises `ConversionError`
    for a file that is not int8 throughout.
    """
    graph = read_graph(subject.int8, subject.name)
    _require_int8(graph, subject.name)
    study = _Study(subject, graph, pictures)
    errors = study.errors(counts)
    layers = []
    for place, op in enumerate(track(study.ops, "layers")):
        layers.append(study.layer(place, op, errors[op.outputs[0]]))
    return Explanation(
        model=subject.name,
        faces=faces,
        n=len(pictures),
        steps=study.steps(counts),
        layers=tuple(sorted(layers, key=lambda layer: -layer.cost)),
    )


def _require_int8(graph: Graph, source: str) -> None:
    (given,) = graph.inputs[:1]
    if graph.tensors[given].dtype != "int8" or not graph.tensors[given].scales:
        raise ConversionError(f"{source}: takes {graph.tensors[given].dtype}, expected int8")


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
    """The twin of one file and its answers, against which each rounding is held."""

    def __init__(self, subject: Subject, graph: Graph, pictures: Reals) -> None:
        self._subject, self._graph, self._pictures = subject, graph, pictures
        self.ops = [op for op in graph.ops if op.name not in UNCHANGED]
        self._answers = self._probabilities(graph.outputs)

    def layer(self, place: int, op: Op, error: _Error) -> Layer:
        """Measure what one operation's output and its weights cost."""
        output = self._graph.tensors[op.outputs[0]]
        activations = self._probabilities(self._graph.outputs, rounded=op.outputs[0])
        weights = self._redrawn(op)
        return Layer(
            name=layer_name(output.name) or op.name.lower(),
            op=op.name,
            place=place,
            shape=output.shape[1:],
            rounding=error.relative(error.rounding),
            accumulated=error.relative(error.accumulated),
            clipped=error.clipped / max(error.count, 1),
            activations=self._cost(activations),
            weights=self._cost(self._probabilities(self._graph.outputs, weights=weights))
            if weights
            else None,
        )

    def errors(self, counts: NDArray[np.int8]) -> dict[int, _Error]:
        """Run the file and its twin side by side; return each output's errors by its number."""
        numbers = [op.outputs[0] for op in self.ops]
        twin_net = Net(twin(self._subject.int8, self._graph, numbers))
        int8_net = Net(watched(self._subject.int8, numbers))
        sums = np.zeros((len(numbers), 5))
        rows = list(zip(self._pictures, counts, strict=True))
        for real, count in track(rows, "activations"):
            seen = zip(numbers, twin_net.run(real), int8_net.run(count), strict=True)
            sums += [_errors_of(self._graph.tensors[index], *pair) for index, *pair in seen]
        return {index: _Error(*map(float, row)) for index, row in zip(numbers, sums, strict=True)}

    def steps(self, counts: NDArray[np.int8]) -> tuple[Step, ...]:
        """Tell weights and activations apart: float model to twin, twin to int8 file."""
        output = self._graph.tensors[self._graph.outputs[0]]
        net = Net(self._subject.int8)
        logits = np.stack([_reals_of(output, net.run(row)[0]) for row in counts])
        int8 = softmax(logits, self._subject.temperature)
        steps = [_step("activations: rounded to int8", self._answers, int8)]
        if self._subject.float_logits is not None:
            model = softmax(self._subject.float_logits, self._subject.temperature)
            steps.insert(0, _step("weights: fine-tuned and rounded", model, self._answers))
            steps.append(_step("both: float model to int8", model, int8))
        return tuple(steps)

    def _redrawn(self, op: Op) -> dict[int, Reals]:
        """An operation's weights with another rounding error of up to half a scale."""
        rng, drawn = np.random.default_rng(SEED), {}
        for index in op.inputs:
            tensor = self._graph.tensors[index] if index >= 0 else None
            if tensor is None or tensor.dtype != "int8":
                continue
            values = reals(tensor)
            if values is not None:
                noise = rng.uniform(-0.5, 0.5, values.shape) * along_axis(tensor)[0]
                drawn[index] = (values + noise).astype(np.float32)
        return drawn

    def _probabilities(
        self,
        outputs: Sequence[int],
        rounded: int | None = None,
        weights: dict[int, Reals] | None = None,
    ) -> Reals:
        net = Net(twin(self._subject.int8, self._graph, outputs, rounded, weights))
        logits = np.stack([net.run(picture)[0] for picture in self._pictures])
        return softmax(logits, self._subject.temperature)

    def _cost(self, answers: Reals) -> Cost:
        step = _step("", self._answers, answers)
        return Cost(step.change, 1 - step.agreement)


def _errors_of(tensor: GraphTensor, real: Reals, count: NDArray[np.int8]) -> tuple[float, ...]:
    """One face's sums for `_Error`."""
    (scale,), (zero,) = tensor.scales, tensor.zero_points
    steps = np.round(real / scale) + zero
    rounded = (np.clip(steps, -128, 127) - zero) * scale
    return (
        float(np.square(real).sum()),
        float(np.square(rounded - real).sum()),
        float(np.square(_reals_of(tensor, count) - real).sum()),
        float(((steps < -128) | (steps > 127)).sum()),
        float(real.size),
    )


def _reals_of(tensor: GraphTensor, counts: NDArray[np.int8]) -> Reals:
    (scale,), (zero,) = tensor.scales, tensor.zero_points
    values: Reals = ((counts.astype(np.float32) - zero) * scale).astype(np.float32)
    return values


def _step(name: str, before: Reals, after: Reals) -> Step:
    same = before.argmax(-1) == after.argmax(-1)
    return Step(name, float(same.mean()), float(np.abs(after - before).mean()))


def layer_name(tensor: str) -> str:
    """Return the Keras layer in a tensor's name, or nothing: the converter joins the names of
    all layers that it fused by `;`, the one that carries the weights last."""
    _, _, last = tensor.rpartition(";")
    parts = last.split("/")
    return parts[-2].removeprefix("quant_") if len(parts) > 1 else ""
