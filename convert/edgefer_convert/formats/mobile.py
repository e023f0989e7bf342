"""The TFLite file for phones: RGB in, probabilities out, and metadata that describe both.

MediaPipe's ImageClassifier takes images of three channels only and reads from the file itself
what its outputs are called. So the int8 file gets, in its own integers, a front end that makes
grey of RGB and a softmax, and TFLite metadata with the labels.

Source: metadata_schema.fbs of TensorFlow Lite Support, file identifier M001. Its writer,
tflite-support, needs protobuf 3.20 and Python 3.11, so the few tables of an image classifier
are written here. The numbers are the places of a table's fields in that schema.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from edgefer.heads import Head
from edgefer_convert.formats.tflite_graph import GraphEditor, affine

GREY = np.array([38, 75, 15], np.int8)
"""Shares of red, green and blue in grey, in 128ths: those of BT.601 (0.299, 0.587, 0.114)
rounded so that they sum to 1. A grey image stays what it is, exactly."""

QUANTIZE_VERSION, CONV_VERSION, SOFTMAX_VERSION = 2, 3, 2
"""Versions of the operations from which they take int8 (TensorFlow's op_version.cc)."""

METADATA = "TFLITE_METADATA"
"""Name of the buffer in the model."""
LABELS = "labels.txt"

FIELDS = 10
"""Of the largest metadata table; a smaller one leaves out those that it lacks."""
RGB = 1
TENSOR_AXIS_LABELS = 2
FEATURE, IMAGE = 1, 2
"""What a tensor holds: the union `ContentProperties`."""
NORMALIZATION = 1
"""The union `ProcessUnitOptions`."""


def to_mobile(int8: bytes, name: str, head: Head, output: int = 0) -> bytes:
    """Return the file for phones of one output of an int8 TFLite file, which is the head's.

    It takes uint8 RGB (1, side, side, 3) and returns probabilities at its temperature,
    uint8 (1, labels) in 256ths; metadata name the labels in order.
    """
    editor = GraphEditor.open(int8)
    _prepend_rgb_to_grey(editor)
    _append_softmax(editor, int(editor.main.outputs[output]), head.calibration.temperature)
    _set_metadata(editor, classifier_metadata(name, head.labels))
    return _with_labels_file(editor.pack(), head.labels)


def _prepend_rgb_to_grey(editor: GraphEditor) -> None:
    """Put uint8 RGB, its int8 form and a 1x1 convolution to grey before the input."""
    grey = int(editor.main.inputs[0])
    spec = editor.main.tensors[grey]
    _, height, width, _ = spec.shape
    # The model's own scale, so that the convolution multiplies by 1/128 exactly.
    scale = float(spec.quantization.scale[0])
    shape = (1, height, width, 3)
    rgb = editor.add_tensor("rgb", shape, "uint8", affine([scale], [0]))
    int8 = editor.add_tensor("rgb_int8", shape, "int8", affine([scale], [-128]))
    kernel = editor.add_tensor("grey_shares", (1, 1, 1, 3), "int8", affine([1 / 128], [0]), GREY)
    bias = editor.add_tensor(
        "grey_bias", (1,), "int32", affine([scale / 128], [0]), np.zeros(1, "<i4")
    )
    options = tfl.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    editor.insert_op(0, "CONV_2D", CONV_VERSION, [int8, kernel, bias], [grey], options)
    _insert_quantize(editor, 0, rgb, int8)
    editor.set_input(rgb)


def _append_softmax(editor: GraphEditor, logits: int, temperature: float) -> None:
    """Put a softmax and its uint8 form after the logits; what leads to other outputs goes."""
    shape = editor.main.tensors[logits].shape
    # TFLite's int8 softmax returns 256ths from -128 on, and nothing else.
    int8 = editor.add_tensor("shares_int8", shape, "int8", affine([1 / 256], [-128]))
    uint8 = editor.add_tensor("probabilities", shape, "uint8", affine([1 / 256], [0]))
    options = tfl.SoftmaxOptionsT()
    options.beta = 1 / temperature
    end = len(editor.main.operators)
    editor.insert_op(end, "SOFTMAX", SOFTMAX_VERSION, [logits], [int8], options)
    _insert_quantize(editor, end + 1, int8, uint8)
    editor.set_output(uint8)


def _insert_quantize(editor: GraphEditor, at: int, source: int, target: int) -> None:
    """Insert the operation that converts between uint8 and int8."""
    options = tfl.QuantizeOptionsT()
    editor.insert_op(at, "QUANTIZE", QUANTIZE_VERSION, [source], [target], options)


def _set_metadata(editor: GraphEditor, content: bytes) -> None:
    """Add the buffer of metadata, in place of an older one."""
    entry = tfl.MetadataT()
    entry.name, entry.buffer = METADATA, editor.add_buffer(np.frombuffer(content, np.uint8))
    others = [one for one in editor.model.metadata or () if one.name != METADATA.encode()]
    editor.model.metadata = [*others, entry]


def _with_labels_file(model: bytes, labels: Sequence[str]) -> bytes:
    """Append the labels' file to a model, as the zip archive that its readers look for."""
    whole = io.BytesIO(model)
    with zipfile.ZipFile(whole, "a") as archive:
        # A fixed date: the same labels give the same bytes.
        archive.writestr(zipfile.ZipInfo(LABELS), "\n".join(labels) + "\n")
    return whole.getvalue()


def classifier_metadata(name: str, labels: Sequence[str]) -> bytes:
    """Return the metadata of a classifier of RGB images whose labels are in `labels.txt`."""
    b = flatbuffers.Builder(1024)
    graph = _table(b, {2: _list(b, [_input(b)]), 3: _list(b, [_output(b)])})
    texts = {0: name, 1: f"Expression of one face: {', '.join(labels)}.", 7: "1.0.0"}
    root = {at: b.CreateString(text) for at, text in texts.items()}
    b.Finish(_table(b, {**root, 3: _list(b, [graph])}), b"M001")
    return bytes(b.Output())


def _input(b: flatbuffers.Builder) -> int:
    """The input: RGB levels, of which 255 stands for 1."""
    content = _table(b, {1: _table(b, {}, {0: RGB})}, {0: IMAGE})
    scale = _table(b, {0: _floats(b, [0.0]), 1: _floats(b, [255.0])})
    unit = _table(b, {1: scale}, {0: NORMALIZATION})
    range_ = _table(b, {0: _floats(b, [255.0]), 1: _floats(b, [0.0])})
    texts = {0: b.CreateString("image"), 1: b.CreateString("One face, cut out closely.")}
    return _table(b, {**texts, 3: content, 4: _list(b, [unit]), 5: range_})


def _output(b: flatbuffers.Builder) -> int:
    """The output: a probability for each line of the labels' file."""
    content = _table(b, {1: _table(b, {})}, {0: FEATURE})
    file = _table(b, {0: b.CreateString(LABELS)}, {2: TENSOR_AXIS_LABELS})
    range_ = _table(b, {0: _floats(b, [1.0]), 1: _floats(b, [0.0])})
    texts = {0: b.CreateString("probabilities"), 1: b.CreateString("Of each expression.")}
    return _table(b, {**texts, 3: content, 5: range_, 6: _list(b, [file])})


def _table(
    b: flatbuffers.Builder, offsets: Mapping[int, int], numbers: Mapping[int, int] | None = None
) -> int:
    """Write a table of offsets to what was written before, and of one-byte numbers."""
    b.StartObject(FIELDS)
    for at, offset in offsets.items():
        b.PrependUOffsetTRelativeSlot(at, offset, 0)
    for at, number in (numbers or {}).items():
        b.PrependUint8Slot(at, number, 0)
    return int(b.EndObject())


def _list(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _floats(b: flatbuffers.Builder, values: Sequence[float]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependFloat32(value)
    return int(b.EndVector())
