"""The file for phones: its front end, its metadata, and MediaPipe, which reads it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import flatbuffers.util
import numpy as np
import pytest

from edgefer.affine import Affine
from edgefer.bundle import open_bundle
from edgefer.heads import Calibration, Head
from edgefer.labels import FER2013
from edgefer.litert import open_interpreter, tflite_tensors, to_logits
from edgefer.metrics import softmax
from edgefer.portrait import portrait_crops
from edgefer.preprocess import Pixels, to_grey
from edgefer.runtime import open_classifier
from edgefer_convert.formats.mobile import to_mobile
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import load
from support.mediapipe import classified

HEAD = Head("fer2013", FER2013, Affine(1.0, 0), Calibration(temperature=1.3))


@pytest.fixture(scope="module")
def mobile() -> bytes:
    return to_mobile(open_bundle("small").read("int8"), "small", HEAD)


@pytest.fixture(scope="module")
def face() -> Pixels:
    """The portrait's face, grey uint8 (48, 48)."""
    crop: Pixels = portrait_crops(1, open_bundle("small").manifest.input.preprocess)[0]
    return crop


def colour(grey: Pixels) -> Pixels:
    """A grey image (..., H, W) as RGB."""
    rgb: Pixels = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    return rgb


def probabilities(model: bytes, image: Pixels) -> Pixels:
    """The output of a file for phones for an RGB image (48, 48, 3), in 256ths."""
    opened = open_interpreter(model)
    opened.set_tensor(opened.get_input_details()[0]["index"], image[np.newaxis])
    opened.invoke()
    output: Pixels = opened.get_tensor(opened.get_output_details()[0]["index"])[0]
    return output


def test_rgb_goes_in_and_probabilities_come_out_without_a_float(mobile: bytes) -> None:
    (first,), (last,) = tflite_tensors(mobile, "inputs"), tflite_tensors(mobile, "outputs")
    assert (first.dtype, first.shape) == ("uint8", (1, 48, 48, 3))
    assert (last.dtype, last.shape) == ("uint8", (1, 7))
    assert (last.scale, last.zero_point) == (1 / 256, 0)
    assert {one.dtype for one in tflite_tensors(mobile)} <= {"uint8", "int8", "int32"}


def test_for_a_grey_image_its_output_is_that_of_int8(mobile: bytes, face: Pixels) -> None:
    logits = open_classifier(open_bundle("small"), "int8").logits(face[np.newaxis])[:, :7]
    expected = 256 * softmax(logits, HEAD.calibration.temperature)[0]
    found = probabilities(mobile, colour(face)).astype(float)
    assert np.abs(found - expected).max() < 1.5


def test_its_probabilities_become_logits_again(mobile: bytes, face: Pixels) -> None:
    found = probabilities(mobile, colour(face))
    logits = to_logits(found[np.newaxis], HEAD.calibration.temperature)
    assert 256 * softmax(logits, HEAD.calibration.temperature)[0] == pytest.approx(found, abs=3)


def test_colours_become_grey_as_in_bt_601(mobile: bytes) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    of_grey = probabilities(mobile, colour(to_grey(colours[..., ::-1].copy()))).astype(int)
    # The shares are in 128ths: a level differs by one at most, and noise by what that makes.
    assert np.abs(probabilities(mobile, colours).astype(int) - of_grey).max() <= 6


def test_the_labels_lie_in_the_file_in_order(mobile: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(mobile)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().split() == list(FER2013)


def test_the_metadata_carry_their_mark(mobile: bytes) -> None:
    from ai_edge_litert.schema_py_generated import ModelT

    model = ModelT.InitFromPackedBuf(mobile)
    names = {one.name.decode(): one.buffer for one in model.metadata}
    content = bytes(model.buffers[names["TFLITE_METADATA"]].data)
    assert flatbuffers.util.GetBufferIdentifier(content, 0) == b"M001"


def test_the_same_model_gives_the_same_bytes(mobile: bytes) -> None:
    again = to_mobile(open_bundle("small").read("int8"), "small", HEAD)
    assert again == mobile


@pytest.fixture(scope="module")
def faces(data: Path) -> Pixels:
    """Real faces in colour: grey ones, and some in which every channel is a face of its own."""
    grey = load(data).part(Usage.PrivateTest).images[:90]
    return np.concatenate([colour(grey), np.stack([grey[:30], grey[30:60], grey[60:]], axis=-1)])


def test_mediapipe_predicts_for_the_same_faces_as_our_runtime(
    mobile: bytes, faces: Pixels, mediapipe: list[str], tmp_path: Path
) -> None:
    outputs = classified(mediapipe, mobile, list(faces), tmp_path)
    assert {label for output in outputs for label in output} == set(FER2013)
    found = np.array([[output[label] for label in FER2013] for output in outputs])
    own = np.stack([probabilities(mobile, face) for face in faces]) / 256
    # Another build of the same kernels: a 256th may differ, and a label where two are as likely.
    assert np.abs(found - own).max() <= 1.5 / 256
    assert (found.argmax(-1) == own.argmax(-1)).mean() >= 0.99


def test_mediapipe_predicts_for_grey_faces_as_the_device(
    mobile: bytes, faces: Pixels, mediapipe: list[str], tmp_path: Path
) -> None:
    grey = [face for face in faces if (face[..., :1] == face).all()]
    likeliest = [next(iter(output)) for output in classified(mediapipe, mobile, grey, tmp_path)]
    logits = open_classifier(open_bundle("small"), "int8").logits(np.stack(grey)[..., 0])[:, :7]
    same = [FER2013[at] == label for at, label in zip(logits.argmax(-1), likeliest, strict=True)]
    assert np.mean(same) >= 0.97
