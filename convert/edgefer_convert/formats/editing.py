"""A TFLite file's objects while something is put before, into or behind its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl


class Graph:
    """The only subgraph of a TFLite model, to which tensors and operations are added."""

    def __init__(self, model: Any) -> None:
        self.model = model
        (self.main,) = model.subgraphs

    def tensor(
        self, name: str, shape: Sequence[int], type: int, affine: Any, data: Any = None
    ) -> int:
        """Add a tensor, a constant where there is data (1-D uint8); return its index."""
        made = tfl.TensorT()
        made.name, made.shape, made.type = name, np.array(shape, np.int32), type
        made.quantization = affine
        made.buffer = self.buffer(data)
        self.main.tensors.append(made)
        return len(self.main.tensors) - 1

    def buffer(self, data: Any) -> int:
        """Add a buffer; return its index. The first one is empty and stands for no data."""
        if data is None:
            return 0
        made = tfl.BufferT()
        made.data = data
        self.model.buffers.append(made)
        return len(self.model.buffers) - 1

    def operation(
        self,
        at: int,
        kind: tuple[int, int],
        inputs: list[int],
        output: int,
        options: tuple[int, Any],
    ) -> None:
        """Insert an operation of a kind and version before the `at`-th."""
        made = tfl.OperatorT()
        made.opcodeIndex = self._code(*kind)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        made.builtinOptionsType, made.builtinOptions = options
        self.main.operators.insert(at, made)

    def _code(self, kind: int, version: int) -> int:
        made = tfl.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = kind
        made.version = version
        self.model.operatorCodes.append(made)
        return len(self.model.operatorCodes) - 1

    def begin(self, new: int) -> None:
        """Let the graph begin with another tensor."""
        self.main.inputs = np.array([new], np.int32)
        for signature in self.model.signatureDefs or ():
            signature.inputs[0].tensorIndex = new

    def end(self, new: int) -> None:
        """Let the graph end with another tensor."""
        self.main.outputs = np.array([new], np.int32)
        for signature in self.model.signatureDefs or ():
            signature.outputs[0].tensorIndex = new


def affine(scales: list[float], zero_points: list[int]) -> Any:
    """Return a tensor's quantization: one scale and zero point, or one a channel."""
    made = tfl.QuantizationParametersT()
    made.scale = np.array(scales, np.float32)
    made.zeroPoint = np.array(zero_points, np.int64)
    return made
