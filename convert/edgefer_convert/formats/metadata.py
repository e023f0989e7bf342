"""TFLite metadata: what a model's input and output are, for programs that load any model.

Source: metadata_schema.fbs of TensorFlow Lite Support, file identifier M001. Its writer,
tflite-support, needs protobuf 3.20 and Python 3.11, so the few tables of an image classifier
are written here. The numbers are the places of a table's fields in that schema.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

import flatbuffers

METADATA = "TFLITE_METADATA"
"""Name of the buffer in the model."""
LABELS = "labels.txt"

FIELDS = 10
"""Of the largest table; a smaller one leaves out those that it lacks."""
RGB = 1
TENSOR_AXIS_LABELS = 2
FEATURE, IMAGE = 1, 2
"""What a tensor holds: the union `ContentProperties`."""
NORMALIZATION = 1
"""The union `ProcessUnitOptions`."""


def metadata(name: str, labels: Sequence[str]) -> bytes:
    """Return the metadata of a classifier of RGB pictures whose labels lie in `labels.txt`."""
    b = flatbuffers.Builder(1024)
    graph = _table(b, {2: _list(b, [_picture(b)]), 3: _list(b, [_probabilities(b)])})
    words = {0: name, 1: f"Expression of one face: {', '.join(labels)}.", 7: "1.0.0"}
    root = {at: b.CreateString(word) for at, word in words.items()}
    b.Finish(_table(b, {**root, 3: _list(b, [graph])}), b"M001")
    return bytes(b.Output())


def attach_labels(model: bytes, labels: Sequence[str]) -> bytes:
    """Append the labels' file to a model, as the zip archive that its readers look for."""
    whole = io.BytesIO(model)
    with zipfile.ZipFile(whole, "a") as archive:
        # A fixed date: the same labels give the same bytes.
        archive.writestr(zipfile.ZipInfo(LABELS), "\n".join(labels) + "\n")
    return whole.getvalue()


def _picture(b: flatbuffers.Builder) -> int:
    """The input: RGB levels, of which 255 stands for 1."""
    content = _table(b, {1: _table(b, {}, {0: RGB})}, {0: IMAGE})
    scale = _table(b, {0: _floats(b, [0.0]), 1: _floats(b, [255.0])})
    unit = _table(b, {1: scale}, {0: NORMALIZATION})
    range_ = _table(b, {0: _floats(b, [255.0]), 1: _floats(b, [0.0])})
    words = {0: b.CreateString("picture"), 1: b.CreateString("One face, cut out closely.")}
    return _table(b, {**words, 3: content, 4: _list(b, [unit]), 5: range_})


def _probabilities(b: flatbuffers.Builder) -> int:
    """The output: a probability for each line of the labels' file."""
    content = _table(b, {1: _table(b, {})}, {0: FEATURE})
    file = _table(b, {0: b.CreateString(LABELS)}, {2: TENSOR_AXIS_LABELS})
    range_ = _table(b, {0: _floats(b, [1.0]), 1: _floats(b, [0.0])})
    words = {0: b.CreateString("probabilities"), 1: b.CreateString("Of each expression.")}
    return _table(b, {**words, 3: content, 5: range_, 6: _list(b, [file])})


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
