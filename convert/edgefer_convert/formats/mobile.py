"""The TFLite file for phones: RGB in, probabilities out, and words on what they mean.

MediaPipe's ImageClassifier takes pictures of three channels only and reads from the file
itself what its outputs are called. So the int8 file gets, in its own integers, a front end
that makes grey of RGB and a softmax, and TFLite metadata with the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from edgefer_convert.formats.editing import Graph, affine
from edgefer_convert.formats.metadata import METADATA, attach_labels, metadata
from edgefer_convert.formats.packing import packed

GREY = np.array([38, 75, 15], np.int8)
"""Shares of red, green and blue in grey, in 128ths: those of BT.601 (0.299, 0.587, 0.114)
rounded so that they sum to 1. A grey picture stays what it is, exactly."""

QUANTIZE_VERSION, CONVOLVE_VERSION, SOFTMAX_VERSION = 2, 3, 2
"""Versions of the operations from which they take int8 (TensorFlow's op_version.cc)."""


def to_mobile(int8: bytes, name: str, labels: Sequence[str], temperature: float) -> bytes:
    """Return the file for phones of an int8 TFLite file.

    It takes uint8 RGB (1, side, side, 3) and gives probabilities at `temperature`,
    uint8 (1, labels) in 256ths; metadata name the labels in order.
    """
    model = tfl.ModelT.InitFromPackedBuf(int8)
    graph = Graph(model)
    _begin_with_rgb(graph)
    _end_with_probabilities(graph, temperature)
    _describe(model, metadata(name, labels))
    return attach_labels(packed(model), labels)


def _begin_with_rgb(graph: Graph) -> None:
    """Put uint8 RGB, its int8 form and a 1x1 convolution to grey before the input."""
    grey = int(graph.main.inputs[0])
    spec = graph.main.tensors[grey]
    _, height, width, _ = spec.shape
    # The model's own scale, so that the convolution multiplies by 1/128 exactly.
    scale = float(spec.quantization.scale[0])
    shape = (1, height, width, 3)
    rgb = graph.tensor("rgb", shape, tfl.TensorType.UINT8, affine([scale], [0]))
    whole = graph.tensor("rgb_int8", shape, tfl.TensorType.INT8, affine([scale], [-128]))
    shares = graph.tensor(
        "grey_shares", (1, 1, 1, 3), tfl.TensorType.INT8, affine([1 / 128], [0]), _bytes(GREY)
    )
    none = graph.tensor(
        "grey_bias",
        (1,),
        tfl.TensorType.INT32,
        affine([scale / 128], [0]),
        _bytes(np.zeros(1, "<i4")),
    )
    convolve = tfl.Conv2DOptionsT()
    convolve.strideH = convolve.strideW = convolve.dilationHFactor = convolve.dilationWFactor = 1
    options = (tfl.BuiltinOptions.Conv2DOptions, convolve)
    kind = (tfl.BuiltinOperator.CONV_2D, CONVOLVE_VERSION)
    graph.operation(0, kind, [whole, shares, none], grey, options)
    graph.operation(0, *_quantize(rgb, whole))
    graph.begin(rgb)


def _end_with_probabilities(graph: Graph, temperature: float) -> None:
    """Put a softmax and its uint8 form after the logits."""
    logits = int(graph.main.outputs[0])
    shape = graph.main.tensors[logits].shape
    # TFLite's int8 softmax gives 256ths from -128 on, and nothing else.
    whole = graph.tensor("shares_int8", shape, tfl.TensorType.INT8, affine([1 / 256], [-128]))
    shares = graph.tensor("probabilities", shape, tfl.TensorType.UINT8, affine([1 / 256], [0]))
    softmax = tfl.SoftmaxOptionsT()
    softmax.beta = 1 / temperature
    last = len(graph.main.operators)
    kind = (tfl.BuiltinOperator.SOFTMAX, SOFTMAX_VERSION)
    graph.operation(last, kind, [logits], whole, (tfl.BuiltinOptions.SoftmaxOptions, softmax))
    graph.operation(last + 1, *_quantize(whole, shares))
    graph.end(shares)


def _quantize(source: int, to: int) -> tuple[tuple[int, int], list[int], int, tuple[int, Any]]:
    """An operation that changes between uint8 and int8."""
    kind = (tfl.BuiltinOperator.QUANTIZE, QUANTIZE_VERSION)
    options = (tfl.BuiltinOptions.QuantizeOptions, tfl.QuantizeOptionsT())
    return kind, [source], to, options


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(values.tobytes(), np.uint8)


def _describe(model: Any, content: bytes) -> None:
    """Add the buffer of metadata, in place of an older one."""
    graph = Graph(model)
    made = tfl.MetadataT()
    made.name, made.buffer = METADATA, graph.buffer(np.frombuffer(content, np.uint8))
    others = [one for one in model.metadata or () if one.name != METADATA.encode()]
    model.metadata = [*others, made]


def grey_of(rgb: np.ndarray) -> np.ndarray:
    """Return what the front end makes of uint8 RGB (..., 3): grey uint8 (...)."""
    sums = rgb.astype(np.int32) @ GREY.astype(np.int32)
    return np.asarray((sums + 64) // 128, np.uint8)
