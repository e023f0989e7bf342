"""`edgefer dev peak`: the classifier's throughput relative to the int8 kernels' peak here.

The peak is that of a single large convolution, a file made on the spot: its rows, columns and
channels divide by every tile that a kernel has, and next to nothing but multiplying is done.
Both run in turns in one thread, and CPU time is counted, so that other work meets both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from edgefer.bundle import Bundle
from edgefer.console import track
from edgefer.litert import open_interpreter
from edgefer.machine import machine
from edgefer.tflite_check import IDENTIFIER
from edgefer.tflite_file import schema

SIDE, CHANNELS, KERNEL = 48, 256, 3
"""Of the convolution, 1,359 MMAC; larger ones gained nothing where it was measured."""
TURNS, SHORT_TURNS, FACES = 60, 15, 20
"""Turns, and faces in each: the convolution leaves the caches empty for the first of them."""


class Peak(msgspec.Struct, frozen=True):
    """The classifier's throughput beside that of the int8 kernels at their best here."""

    machine: str
    model: str
    classifier: float
    """GMAC/s of CPU time, pixels to logits."""
    kernels: float
    """The same of a large convolution in the same runtime."""
    share: float
    """0..1."""

    def describe(self) -> str:
        """Return the result in one line."""
        return (
            f"{self.model}, int8: {self.classifier:.0f} GMAC/s in the classifier, "
            f"{self.kernels:.0f} in a large convolution: {self.share:.0%} of it"
        )


def measure_peak(bundle: Bundle, short: bool) -> Peak:
    """Run the model and the convolution in turns; raises `MissingExtra` without LiteRT."""
    model, large = open_interpreter(bundle.read("int8")), open_interpreter(convolution())
    ours, best = [], []
    for _ in track(range(SHORT_TURNS if short else TURNS), "the int8 kernels' peak"):
        best.append(_seconds(large.invoke, 1))
        ours.append(_seconds(model.invoke, FACES))
    macs = bundle.manifest.evidence.macs
    # The quickest turns: other work can only make one slower.
    rate, peak = macs / min(ours), SIDE**2 * CHANNELS**2 * KERNEL**2 / min(best)
    return Peak(machine(), bundle.manifest.name, rate / 1e9, peak / 1e9, rate / peak)


def _seconds(call: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begun) / times


def convolution() -> bytes:
    """Return a TFLite file of one int8 convolution with random weights."""
    import flatbuffers

    s, rng = schema(), np.random.default_rng(0)
    model, graph, code, op = s.ModelT(), s.SubGraphT(), s.OperatorCodeT(), s.OperatorT()
    model.version, model.description, model.buffers = 3, b"", [s.BufferT()]
    weights = rng.integers(-127, 128, (CHANNELS, KERNEL, KERNEL, CHANNELS), np.int8)
    shape = (1, SIDE, SIDE, CHANNELS)
    graph.tensors = [
        _tensor(model, shape, "INT8", 0.05),
        _tensor(model, weights.shape, "INT8", 0.01, weights),
        _tensor(model, (CHANNELS,), "INT32", 0.0005, np.zeros(CHANNELS, np.int32)),
        _tensor(model, shape, "INT8", 1.0),
    ]
    code.builtinCode = code.deprecatedBuiltinCode = s.BuiltinOperator.CONV_2D
    code.version = 3
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, 2], [3]
    op.builtinOptionsType, options = s.BuiltinOptions.Conv2DOptions, s.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = s.Padding.SAME, 1, 1
    op.builtinOptions = options
    graph.name, graph.inputs, graph.outputs, graph.operators = b"main", [0], [3], [op]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _tensor(
    model: Any, shape: tuple[int, ...], kind: str, scale: float, content: Any = None
) -> Any:
    s = schema()
    tensor = s.TensorT()
    tensor.name, tensor.shape, tensor.type = b"tensor", list(shape), getattr(s.TensorType, kind)
    tensor.quantization = s.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
    tensor.buffer = 0
    if content is not None:
        buffer, tensor.buffer = s.BufferT(), len(model.buffers)
        buffer.data = np.frombuffer(content.tobytes(), np.uint8)
        model.buffers.append(buffer)
    return tensor
