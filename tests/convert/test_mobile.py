"""The file for phones: its front end, its metadata, and the program that is to read it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import flatbuffers.util
import numpy as np
import pytest

from edgefer.bundle import open_bundle
from edgefer.labels import FER2013
from edgefer.metrics import softmax
from edgefer.portrait import portrait_crops
from edgefer.preprocess import Pixels, to_grey
from edgefer.runtime import litert, open_classifier, tflite_tensors, to_logits
from edgefer_convert.formats.mobile import to_mobile
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import load
from support.mediapipe import classified

TEMPERATURE = 1.3


@pytest.fixture(scope="module")
def mobile() -> bytes:
    return to_mobile(open_bundle("small").read("int8"), "small", FER2013, TEMPERATURE)


@pytest.fixture(scope="module")
def chip() -> Pixels:
    """The portrait's face, grey uint8 (48, 48)."""
    face: Pixels = portrait_crops(1, open_bundle("small").manifest.input.preprocess)[0]
    return face


def colour(grey: Pixels) -> Pixels:
    """A grey picture (..., H, W) as RGB."""
    rgb: Pixels = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    return rgb


def counts(model: bytes, picture: Pixels) -> Pixels:
    """What a file for phones says of an RGB picture (48, 48, 3), in 256ths."""
    opened = litert(model)
    opened.set_tensor(opened.get_input_details()[0]["index"], picture[np.newaxis])
    opened.invoke()
    said: Pixels = opened.get_tensor(opened.get_output_details()[0]["index"])[0]
    return said


def test_it_takes_rgb_and_gives_probabilities_without_a_float(mobile: bytes) -> None:
    (taken,), (given,) = tflite_tensors(mobile, "inputs"), tflite_tensors(mobile, "outputs")
    assert (taken.dtype, taken.shape) == ("uint8", (1, 48, 48, 3))
    assert (given.dtype, given.shape) == ("uint8", (1, 7))
    assert (given.scale, given.zero_point) == (1 / 256, 0)
    assert {one.dtype for one in tflite_tensors(mobile)} <= {"uint8", "int8", "int32"}


def test_of_a_grey_picture_it_says_what_int8_says(mobile: bytes, chip: Pixels) -> None:
    logits = open_classifier(open_bundle("small"), "int8").logits(chip[np.newaxis])
    wanted = 256 * softmax(logits, TEMPERATURE)[0]
    found = counts(mobile, colour(chip)).astype(float)
    assert np.abs(found - wanted).max() < 1.5


def test_its_probabilities_become_logits_again(mobile: bytes, chip: Pixels) -> None:
    found = counts(mobile, colour(chip))
    logits = to_logits(found[np.newaxis], TEMPERATURE)
    assert 256 * softmax(logits, TEMPERATURE)[0] == pytest.approx(found, abs=3)


def test_colours_become_grey_as_in_bt_601(mobile: bytes) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    of_grey = counts(mobile, colour(to_grey(colours[..., ::-1].copy()))).astype(int)
    # The shares are in 128ths: a level differs by one at most, and noise by what that makes.
    assert np.abs(counts(mobile, colours).astype(int) - of_grey).max() <= 6


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
    again = to_mobile(open_bundle("small").read("int8"), "small", FER2013, TEMPERATURE)
    assert again == mobile


@pytest.fixture(scope="module")
def faces(data: Path) -> Pixels:
    """Real faces in colour: grey ones, and some in which every channel is a face of its own."""
    grey = load(data).part(Usage.PrivateTest).images[:90]
    return np.concatenate([colour(grey), np.stack([grey[:30], grey[30:60], grey[60:]], axis=-1)])


def test_mediapipe_says_of_the_same_faces_what_our_runtime_says(
    mobile: bytes, faces: Pixels, mediapipe: list[str], tmp_path: Path
) -> None:
    said = classified(mediapipe, mobile, list(faces), tmp_path)
    assert {label for answer in said for label in answer} == set(FER2013)
    found = np.array([[answer[label] for label in FER2013] for answer in said])
    own = np.stack([counts(mobile, face) for face in faces]) / 256
    # Another build of the same kernels: a count may differ, and a label where two are as likely.
    assert np.abs(found - own).max() <= 1.5 / 256
    assert (found.argmax(-1) == own.argmax(-1)).mean() >= 0.99


def test_mediapipe_says_of_grey_faces_what_the_device_says(
    mobile: bytes, faces: Pixels, mediapipe: list[str], tmp_path: Path
) -> None:
    grey = [face for face in faces if (face[..., :1] == face).all()]
    likeliest = [next(iter(answer)) for answer in classified(mediapipe, mobile, grey, tmp_path)]
    logits = open_classifier(open_bundle("small"), "int8").logits(np.stack(grey)[..., 0])
    same = [FER2013[at] == said for at, said in zip(logits.argmax(-1), likeliest, strict=True)]
    assert np.mean(same) >= 0.97
