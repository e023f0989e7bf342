"""External models in ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference, version_converter

from edgefer.errors import ConversionError, foreign
from edgefer.metrics import Logits
from edgefer.onnx_runtime import onnx_session
from edgefer.preprocess import Pixels, Preprocess
from edgefer_convert.formats import onnx_int8
from edgefer_convert.formats.onnx_files import INPUT, OUTPUT, canonical_bytes
from edgefer_convert.importers.source import PIXEL_RANGES, Converter, ImageSource, input_side

MINIMUM_OPSET = 13
"""The opset from which a QuantizeLinear may have a scale for each channel."""

FIX_BATCH = (
    "python -m onnxruntime.tools.make_dynamic_shape_fixed --dim_param {name} --dim_value 1 IN OUT"
)


class OnnxModel:
    """An external ONNX model, adapted."""

    def __init__(self, path: Path, model: onnx.ModelProto) -> None:
        self.path = path
        self.architecture = model.graph.name or path.stem
        self.side = int(_sides(model.graph.input[0])[1])
        self.outputs = int(_sides(model.graph.output[0])[1])
        self._model = model
        self._content = canonical_bytes(model)
        self._session = onnx_session(self._content, path, 1)

    def reordered(self, order: Sequence[int]) -> OnnxModel:
        """Return the model with its outputs in another order."""
        if list(order) == list(range(self.outputs)):
            return self
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph = model.graph
        indices = numpy_helper.from_array(np.array(order, np.int64), "label_order")
        graph.initializer.append(indices)
        node = helper.make_node("Gather", [graph.output[0].name, indices.name], ["ordered"], axis=1)
        graph.node.append(node)
        graph.output[0].name = "ordered"
        return OnnxModel(self.path, model)

    def onnx(self) -> bytes:
        """Return the model as a float ONNX file."""
        return self._content

    def logits(self, images: Pixels) -> Logits:
        """Return logits (N, outputs) of face crops uint8 (N, side, side)."""
        inputs = Preprocess(size=self.side).to_float(images)
        rows = [self._session.run([OUTPUT], {INPUT: one[np.newaxis]})[0] for one in inputs]
        return np.concatenate(rows)

    def converters(self, images: ImageSource) -> dict[str, Converter]:
        """Return the converter to each format; there is none from ONNX to TFLite here."""
        return {
            "onnx": lambda _: self._content,
            "onnx-int8": lambda files: onnx_int8.to_int8(files["onnx"], images()),
            "onnx-symmetric": lambda files: onnx_int8.to_symmetric(files["onnx"], images()),
        }


def open_onnx(path: Path, pixels: str) -> OnnxModel:
    """Open an ONNX model; `pixels` is the range of black..white in its training.

    Its input may be (1, side, side, channels) or (1, channels, side, side), grey or RGB. A
    softmax at its end is removed: our temperature needs logits. Raises `ConversionError` for
    what is no model, or none that can be converted.
    """
    model = _load(path)
    graph = model.graph
    _require_standard(path, graph)
    constants = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ConversionError(
            f"{path}: expected one input and one output, got {len(inputs)} and {len(graph.output)}"
        )
    graph.ClearField("input")
    graph.input.extend(inputs)
    _require_fixed(path, graph)
    _remove_softmax(graph)
    _prepend_grey(path, graph, pixels)
    return OnnxModel(path, shape_inference.infer_shapes(model))


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
        old = next((one for one in model.opset_import if one.domain in ("", "ai.onnx")), None)
        if old is not None and old.version < MINIMUM_OPSET:
            model = version_converter.convert_version(model, MINIMUM_OPSET)
        return shape_inference.infer_shapes(model)
    except Exception as exc:  # a file from elsewhere may fail in any way
        raise ConversionError(
            f"{path}: not an ONNX model that can be read, damaged or cut off: {foreign(exc)}"
        ) from exc


def _require_standard(path: Path, graph: onnx.GraphProto) -> None:
    """Refuse operations that are not ONNX's own, and graphs within the graph."""
    foreign = sorted(
        {f"{n.domain}.{n.op_type}" for n in graph.node if n.domain not in ("", "ai.onnx")}
    )
    if foreign:
        raise ConversionError(
            f"{path}: has the custom operation {foreign[0]}; export it with ONNX's own operations"
        )
    inner = next((n for n in graph.node for a in n.attribute if a.HasField("g")), None)
    if inner is not None:
        raise ConversionError(
            f"{path}: has {inner.op_type}, a choice or a loop; export it as one straight graph"
        )


def _require_fixed(path: Path, graph: onnx.GraphProto) -> None:
    """Refuse anything but one float image in and one row of values out."""
    image, output = graph.input[0], graph.output[0]
    if image.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        number = image.type.tensor_type.elem_type
        types = {value: name.lower() for name, value in onnx.TensorProto.DataType.items()}
        kind = types.get(number, f"type {number}")
        raise ConversionError(f"{path}: expected a float32 input, got {kind}")
    for end in (image, output):
        sides = _sides(end)
        if sides and not isinstance(sides[0], int):
            how = FIX_BATCH.format(name=sides[0])
            raise ConversionError(
                f"{path}: '{end.name}' has the dynamic batch '{sides[0]}'; fix it: {how}"
            )
        if not sides or sides[0] != 1:
            raise ConversionError(
                f"{path}: expected a batch of 1, '{end.name}' has the shape {sides}"
            )
    if len(_sides(output)) != 2 or not isinstance(_sides(output)[1], int):
        raise ConversionError(
            f"{path}: expected one output value for each label, got {_sides(output)}"
        )


def _sides(value: onnx.ValueInfoProto) -> list[int | str]:
    """Return the sides of a tensor; the name, or `?`, of one that is not fixed."""
    sides = value.type.tensor_type.shape.dim
    return [one.dim_value if one.HasField("dim_value") else one.dim_param or "?" for one in sides]


def _remove_softmax(graph: onnx.GraphProto) -> None:
    """Make the logits the graph's output."""
    output = graph.output[0]
    last = next((node for node in graph.node if output.name in node.output), None)
    if last is not None and last.op_type == "Softmax":
        output.name = last.input[0]
        graph.node.remove(last)


def _prepend_grey(path: Path, graph: onnx.GraphProto, pixels: str) -> None:
    """Make one grey image (1, side, side, 1) in 0..1 the graph's input."""
    image = graph.input[0]
    sides = _sides(image)[1:]
    first = len(sides) == 3 and sides[0] in (1, 3)
    shape = [*sides[1:], sides[0]] if first else sides
    side, (scale, offset) = input_side(path, shape), PIXEL_RANGES[pixels]
    steps: list[tuple[str, np.ndarray | None]] = []
    if first:
        steps.append(("Reshape", np.array([1, 1, side, side], np.int64)))
    if shape[-1] == 3:
        steps.append(("Concat", None))
    if scale != 1:
        steps.append(("Mul", np.array([scale], np.float32)))
    if offset:
        steps.append(("Add", np.array([offset], np.float32)))
    nodes, last = [], "grey"
    for kind, constant in steps:
        name = f"grey_{kind}"
        if constant is None:
            nodes.append(helper.make_node(kind, [last] * 3, [name], axis=1 if first else 3))
        else:
            graph.initializer.append(numpy_helper.from_array(constant, f"{name}_by"))
            nodes.append(helper.make_node(kind, [last, f"{name}_by"], [name]))
        last = name
    for node in graph.node:
        node.input[:] = [last if read == image.name else read for read in node.input]
    nodes.extend(graph.node)
    for field in ("node", "input"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    value = helper.make_tensor_value_info("grey", onnx.TensorProto.FLOAT, (1, side, side, 1))
    graph.input.append(value)
