"""A small model made elsewhere, in Keras or ONNX, that recognizes faces a little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgefer.preprocess import Preprocess
from edgefer_train.data.dataset import Dataset, Usage

POOLED = 4
"""Pixels of a face that become one, each way."""


def fit_weights(dataset: Dataset, labels: Sequence[str]) -> list[np.ndarray]:
    """Return kernel and bias of a linear model of pooled faces, by least squares on Training."""
    training = dataset.part(Usage.Training)
    faces = Preprocess().to_float(training.images)
    side = faces.shape[1] // POOLED
    pooled = faces.reshape(-1, side, POOLED, side, POOLED).mean((2, 4)).reshape(len(faces), -1)
    order = [labels.index(label) for label in dataset.labels]
    targets = np.eye(len(labels))[np.array(order)[training.labels]]
    mean = pooled.mean(0)
    spread = (pooled - mean).T @ (pooled - mean) + 20 * np.eye(pooled.shape[1])
    kernel = 8 * np.linalg.solve(spread, (pooled - mean).T @ targets)
    return [kernel.astype(np.float32), (8 * targets.mean(0) - mean @ kernel).astype(np.float32)]


def keras_model(library: Any, weights: list[np.ndarray], activation: str = "softmax") -> Any:
    """Return it as a model of a Keras, 2 or 3, that returns probabilities."""
    layers = library.layers
    face = layers.Input((48, 48, 1), name="face")
    pooled = layers.Flatten()(layers.AveragePooling2D(POOLED)(face))
    dense = layers.Dense(weights[1].size, activation=activation, name="scores")
    model = library.Model(face, dense(pooled), name="external")
    dense.set_weights(weights)
    return model


def onnx_model(weights: list[np.ndarray], batch: int | str = 1, domain: str = "") -> Any:
    """Return it as PyTorch would export it: channels first."""
    kernel, bias = (
        numpy_helper.from_array(one, name) for one, name in zip(weights, "kb", strict=True)
    )
    flat = numpy_helper.from_array(np.array([-1 if isinstance(batch, str) else batch, 144]), "flat")
    mean = numpy_helper.from_array(np.full((1, 1, 4, 4), 1 / 16, np.float32), "mean")
    nodes = [
        helper.make_node("Conv", ["face", "mean"], ["pooled"], strides=[4, 4]),
        helper.make_node("Reshape", ["pooled", "flat"], ["row"]),
        helper.make_node("Gemm", ["row", "k", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1, domain=domain),
    ]
    face = helper.make_tensor_value_info("face", TensorProto.FLOAT, [batch, 1, 48, 48])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, weights[1].size])
    graph = helper.make_graph(nodes, "external", [face], [scores], [kernel, bias, flat, mean])
    opsets = [helper.make_opsetid("", 17)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
