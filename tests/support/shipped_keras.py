"""The shipped model as a Keras model and a run again, for conversions that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tf_keras as keras
from onnx import numpy_helper

from edgefer.bundle import open_bundle
from edgefer.labels import FER2013
from edgefer.preprocess import Preprocess
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.quantization.fake_quant import set_ranges
from edgefer_train.quantization.quantize import with_fake_quantization
from edgefer_train.recipe import Recipe
from edgefer_train.run import Record, Run, save_model

HEAD = "fer2013"


def shipped_keras(library: Any = keras) -> Any:
    """Return the shipped `small` as layers of a Keras, from its float ONNX file."""
    graph = onnx.load_model_from_string(open_bundle("small").read("onnx")).graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    image = library.layers.Input((48, 48, 1), name="image")
    tensors = {graph.input[0].name: image}
    filled = []
    for at, node in enumerate(graph.node):
        taken = [tensors[name] for name in node.input if name in tensors]
        own = [weights[name] for name in node.input if name in weights]
        layer = _layer(library, node, own, f"layer{at}")
        tensors[node.output[0]] = (
            layer(taken if len(taken) > 1 else taken[0]) if layer else taken[0]
        )
        if node.op_type in ("Conv", "Gemm"):
            filled.append((layer, own))
    model = library.Model(image, tensors[graph.output[0].name], name="small")
    for layer, (kernel, bias) in filled:
        # ONNX: filters first; Keras: filters last.
        layer.set_weights([kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel, bias])
    return model


def _layer(library: Any, node: onnx.NodeProto, own: Sequence[np.ndarray], name: str) -> Any:
    """The layer of a node, None for one that only arranges values for ONNX."""
    layers = library.layers
    if node.op_type == "Conv":
        said = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        filters, _, *kernel = own[0].shape
        return layers.Conv2D(filters, kernel, said["strides"], "same", name=name)
    if node.op_type == "Gemm":
        return layers.Dense(own[0].shape[1], name=HEAD)
    made = {
        "Relu": layers.ReLU,
        "Add": layers.Add,
        "GlobalAveragePool": layers.GlobalAveragePooling2D,
    }
    return made[node.op_type](name=name) if node.op_type in made else None


def shipped_run(out: Path, dataset: Dataset) -> Run:
    """Write a finished run of the shipped model, its int8 ranges measured on the dataset."""
    model, run = shipped_keras(), Run(out)
    quantized = with_fake_quantization(model, [HEAD])
    images = Preprocess().to_float(dataset.part(Usage.Training).images[:512])
    # What weights range over, tfmot takes down in a step of training.
    quantized(images[:1], training=True)
    set_ranges(quantized, model, images)
    run.start(_record(dataset), resume=False)
    save_model(model, run.float.model)
    save_model(quantized, run.qat.model)
    return run


def _record(dataset: Dataset) -> Record:
    shipped = open_bundle("small").manifest.evidence
    return Record(
        recipe_name="small",
        recipe=Recipe("small"),
        heads={HEAD: FER2013},
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        parameters=shipped.parameters,
        macs=shipped.macs,
        versions={},
        machine="none",
    )
