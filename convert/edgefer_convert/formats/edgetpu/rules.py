"""Rules of version 16 of Coral's compiler, the last one, for TFLite files.

The compiler is closed; these are the rules that its makers published, and the versions of
operations in the TensorFlow it was built on. Each rule names its source. Limits that are not
published, as on sizes, only the compiler itself reports: `compiler.compile_for_edgetpu`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from edgefer.tflite_file import Graph, GraphTensor, Op

REQUIREMENTS = "coral.ai/docs/edgetpu/models-intro/#model-requirements"
OPERATIONS = "coral.ai/docs/edgetpu/models-intro/#supported-operations"
VERSIONS = "tensorflow/compiler/mlir/lite/tools/versioning/runtime_version.cc"
PARTITION = "coral.ai/docs/edgetpu/compiler"


class Rule(NamedTuple):
    """One thing that must hold for an operation to run on the Edge TPU."""

    limit: str
    """The reason where it does not hold."""
    source: str
    holds: Callable[[Graph, Op], bool]


NEWEST = {
    "ABS": 3, "ADD": 3, "ARG_MAX": 2, "ARG_MIN": 2, "AVERAGE_POOL_2D": 3, "BATCH_MATMUL": 4,
    "BATCH_TO_SPACE_ND": 3, "BIDIRECTIONAL_SEQUENCE_LSTM": 3, "BIDIRECTIONAL_SEQUENCE_RNN": 3,
    "BROADCAST_TO": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTH_TO_SPACE": 2,
    "DEPTHWISE_CONV_2D": 6, "DEQUANTIZE": 4, "DIV": 2, "EMBEDDING_LOOKUP": 3, "EQUAL": 3,
    "FAKE_QUANT": 2, "FILL": 3, "FLOOR_DIV": 2, "FULLY_CONNECTED": 9, "GATHER": 5, "GATHER_ND": 3,
    "GREATER": 2, "GREATER_EQUAL": 2, "L2_NORMALIZATION": 2, "LEAKY_RELU": 2, "LESS": 2,
    "LESS_EQUAL": 2, "LOG_SOFTMAX": 2, "LOGISTIC": 3, "LSTM": 4, "MAX_POOL_2D": 3, "MAXIMUM": 4,
    "MEAN": 3, "MINIMUM": 4, "MIRROR_PAD": 2, "MUL": 4, "NOT_EQUAL": 3, "PACK": 3, "PAD": 3,
    "PADV2": 3, "QUANTIZE": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "RELU": 3, "RELU6": 3,
    "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4, "REVERSE_V2": 3, "RNN": 3, "RSQRT": 2,
    "SELECT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_BATCH_ND": 3, "SPACE_TO_DEPTH": 2,
    "SPARSE_TO_DENSE": 3, "SPLIT": 4, "SPLIT_V": 2, "SQUARED_DIFFERENCE": 2, "SQUEEZE": 2,
    "STRIDED_SLICE": 5, "SUB": 5, "SUM": 2, "SVDF": 4, "TANH": 3, "TILE": 2, "TOPK_V2": 2,
    "TRANSPOSE": 5, "TRANSPOSE_CONV": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 3, "UNPACK": 4,
}  # fmt: skip
"""The newest version of each operation in TensorFlow 2.5.0; 1 where none is named.

libedgetpu of the compiler's release is built on 2.5.0 (its workspace.bzl), and what the
compiler was seen to refuse came with 2.7.0 or later: QUANTIZE 3 (google-coral/edgetpu 879),
CONV_2D 6 (631), EXP 2 (google-coral/libedgetpu 71), TRANSPOSE_CONV 4 (edgetpu 845). The few
versions of 2.6.0 are not documented; they count as refused.
"""

LAST_CODE = 139
"""HASHTABLE_SIZE, the last operation in TensorFlow 2.5.0's schema."""


def refusal(op: Op) -> str:
    """Return why the compiler does not read a file with this operation at all, or nothing."""
    if op.code > LAST_CODE:
        return f"{op.name} is newer than TensorFlow 2.5, on which the compiler was built"
    newest = NEWEST.get(op.name, 1)
    # 32 is CUSTOM: its version is the author's own.
    if op.code != 32 and op.version > newest:
        return f"{op.name} version {op.version}: the compiler knows versions up to {newest}"
    return ""


def rules_for(name: str) -> tuple[Rule, ...] | None:
    """Return the rules for a kind of operation; None where the Edge TPU does not have it."""
    if name not in SUPPORTED:
        return None
    own = (Rule(limit, OPERATIONS, holds) for limit, holds in OWN_RULES.get(name, {}).items())
    return (*GENERAL, *own)


def _computed(graph: Graph, op: Op) -> list[GraphTensor]:
    """Return an operation's inputs and outputs without its constants."""
    indices = [index for index in (*op.inputs, *op.outputs) if index >= 0]
    return [tensor for tensor in map(graph.tensors.__getitem__, indices) if tensor.content is None]


def _is_8_bit(graph: Graph, op: Op) -> bool:
    return all(tensor.dtype in ("int8", "uint8") for tensor in _computed(graph, op))


def _is_quantized(graph: Graph, op: Op) -> bool:
    return all(tensor.scales for tensor in _computed(graph, op))


def _has_fixed_shapes(graph: Graph, op: Op) -> bool:
    return all(min(tensor.shape, default=1) >= 0 for tensor in _computed(graph, op))


def _has_three_sides(graph: Graph, op: Op) -> bool:
    return all(max(tensor.shape[:-3], default=1) == 1 for tensor in _computed(graph, op))


PARAMETERS = {
    "CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2),
    "TRANSPOSE_CONV": (0, 1, 3), "MEAN": (1,), "SUM": (1,), "REDUCE_MAX": (1,), "REDUCE_MIN": (1,),
    "PAD": (1,), "PRELU": (1,), "RESHAPE": (1,), "TRANSPOSE": (1,), "EXPAND_DIMS": (1,),
    "SLICE": (1, 2), "SPLIT": (0,), "STRIDED_SLICE": (1, 2, 3), "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
}  # fmt: skip
"""The positions of inputs that must be known when the model is compiled."""


def _has_constants(graph: Graph, op: Op) -> bool:
    found = (graph.tensor(op, position) for position in PARAMETERS.get(op.name, ()))
    return all(tensor is None or tensor.content is not None for tensor in found)


def _option(name: str, expected: int) -> Callable[[Graph, Op], bool]:
    return lambda _graph, op: int(op.options.get(name, expected)) == expected


def _first_computed(graph: Graph, op: Op) -> GraphTensor:
    """Return the first input that is computed."""
    return next(tensor for tensor in _computed(graph, op))


def _axes(graph: Graph, op: Op) -> set[int]:
    """Return the axes of a reduction, from 0."""
    where, rank = graph.tensor(op, 1), len(_first_computed(graph, op).shape)
    return {int(axis) % rank for axis in where.array().ravel()} if where else set()


def _spares_batch(graph: Graph, op: Op) -> bool:
    return 0 not in _axes(graph, op)


def _reduces_fours(graph: Graph, op: Op) -> bool:
    shape = _first_computed(graph, op).shape
    return len(shape) - 1 not in _axes(graph, op) or shape[-1] % 4 == 0


def _pads_no_batch(graph: Graph, op: Op) -> bool:
    amounts = graph.tensor(op, 1)
    return amounts is None or not amounts.array()[0].any()


def _axis_spares_batch(graph: Graph, op: Op) -> bool:
    return int(op.options.get("axis", 1)) % (len(graph.tensors[op.outputs[0]].shape)) != 0


def _split_spares_batch(graph: Graph, op: Op) -> bool:
    axis = graph.tensor(op, 0)
    return axis is None or int(axis.array().ravel()[0]) % len(_first_computed(graph, op).shape) != 0


def _has_same_dilation(_graph: Graph, op: Op) -> bool:
    across, down = (op.options.get(f"dilation{side}Factor", 1) for side in "WH")
    return int(across) == int(down)


def _has_one_output_row(graph: Graph, op: Op) -> bool:
    return max(graph.tensors[op.outputs[0]].shape[:-1], default=1) == 1


def _fits_softmax(graph: Graph, op: Op) -> bool:
    shape = _first_computed(graph, op).shape
    return max(shape[:-1], default=1) == 1 and shape[-1] <= 16_000


def _has_flat_alpha(graph: Graph, op: Op) -> bool:
    alpha = graph.tensor(op, 1)
    return alpha is None or max(alpha.shape[:-1], default=1) == 1


def _joins_zeros_at_most(graph: Graph, op: Op) -> bool:
    found = [graph.tensors[index] for index in op.inputs]
    constants = [tensor for tensor in found if tensor.content is not None]
    if not constants:
        return True
    zeros = (tensor.array() == tensor.zero_points[0] for tensor in constants if tensor.scales)
    return len(found) == 2 and all(bool(zero.all()) for zero in zeros)


def _steps_by_one(graph: Graph, op: Op) -> bool:
    steps = graph.tensor(op, 3)
    return steps is None or bool((steps.array() == 1).all())


GENERAL = (
    Rule("has weights or parameters that are not constant", REQUIREMENTS, _has_constants),
    Rule("works on other types than int8 and uint8", REQUIREMENTS, _is_8_bit),
    Rule("has a tensor without quantization", REQUIREMENTS, _is_quantized),
    Rule("has a dynamic shape", REQUIREMENTS, _has_fixed_shapes),
    Rule("has a tensor of more than 3 dimensions larger than 1", REQUIREMENTS, _has_three_sides),
)
"""For every operation."""

SUPPORTED = {
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS",
    "FULLY_CONNECTED", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MUL", "PACK", "PAD", "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6",
    "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE",
    "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB",
    "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM",
}  # fmt: skip
"""The operations that the Edge TPU has, by runtime 14."""

UNFUSED = {"has a fused activation": _option("fusedActivationFunction", 0)}
DILATED = {"is dilated differently in x and y": _has_same_dilation}
REDUCES = {"reduces over the batch": _spares_batch}

OWN_RULES: Mapping[str, Mapping[str, Callable[[Graph, Op], bool]]] = {
    "AVERAGE_POOL_2D": UNFUSED,
    "CONCATENATION": {
        **UNFUSED,
        "joins a constant other than zeros, or beside more than one input": _joins_zeros_at_most,
    },
    "CONV_2D": DILATED,
    "DEPTHWISE_CONV_2D": DILATED,
    "FULLY_CONNECTED": {
        "has its weights in another order than the default": _option("weightsFormat", 0),
        "has more than one output row": _has_one_output_row,
    },
    "MAX_POOL_2D": UNFUSED,
    "MEAN": {**REDUCES, "reduces channels that are not a multiple of 4": _reduces_fours},
    "PACK": {"packs along the batch": _axis_spares_batch},
    "PAD": {"pads the batch": _pads_no_batch},
    "PRELU": {"has a slope for more than each channel": _has_flat_alpha},
    "REDUCE_MAX": REDUCES,
    "REDUCE_MIN": REDUCES,
    "SOFTMAX": {"has more than one input row of 16,000": _fits_softmax},
    "SPLIT": {"splits along the batch": _split_spares_batch},
    "STRIDED_SLICE": {
        "has strides other than 1": _steps_by_one,
        "has an ellipsis": _option("ellipsisMask", 0),
        "adds an axis": _option("newAxisMask", 0),
    },
    "SUM": REDUCES,
}
"""What some of them must keep to besides."""

DOUBTFUL = {
    "RESHAPE": "a large one may stay on the CPU",
    "RESIZE_BILINEAR": "may stay on the CPU, by its sizes",
    "RESIZE_NEAREST_NEIGHBOR": "may stay on the CPU, by its sizes",
}
"""Where only the compiler itself knows; source: `OPERATIONS`."""
