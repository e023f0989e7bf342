"""External models through the command line: each form, and those that cannot be converted."""

from __future__ import annotations

import importlib
import resource
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf_keras as keras2
from onnx import TensorProto, helper

from convert.conftest import edgefer, last_line
from edgefer.bundle import open_bundle
from edgefer.files import to_zip
from edgefer.labels import FER2013
from edgefer.litert import tflite_tensors
from edgefer_train.data.dataset import Dataset
from support.external_model import fit_weights, keras_model, onnx_model

ORDER = ("happy", "sad", "angry", "neutral", "surprise", "fear", "disgust")
"""Of the model's outputs: not ours."""
LABELS = "Happiness,Sadness,Anger,Neutral,Surprise,Fear,Disgust"
"""The same, as its maker spells them."""

LIMITS = """
[gate]
# A linear model is never sure: its labels change at a touch.
accuracy_drop = 0.05
class_recall_drop = 0.2
agreement = 0.85
calibration_error = 0.2
label_order = 0.05
"""


@pytest.fixture(scope="module")
def weights(dataset: Dataset) -> list[np.ndarray]:
    return fit_weights(dataset, ORDER)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "gate.toml"
    path.write_text(LIMITS)
    return path


@contextmanager
def silent() -> Iterator[None]:
    """Without the warnings of a Keras that writes its own older form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def as_h5(weights: list[np.ndarray], folder: Path) -> Path:
    with silent():
        keras_model(keras2, weights).save(folder / "external.h5")
    return folder / "external.h5"


def as_keras(weights: list[np.ndarray], folder: Path) -> Path:
    # Keras 3 is chosen by name: it has no types.
    with silent():
        keras_model(importlib.import_module("keras"), weights).save(folder / "external.keras")
    return folder / "external.keras"


def as_mixed_float16(weights: list[np.ndarray], folder: Path) -> Path:
    config = importlib.import_module("keras").config
    before = config.dtype_policy()
    config.set_dtype_policy("mixed_float16")
    try:
        return as_keras(weights, folder)
    finally:
        config.set_dtype_policy(before)


def as_saved_model(weights: list[np.ndarray], folder: Path) -> Path:
    with silent():
        keras_model(keras2, weights).save(folder / "external", save_format="tf")
    return folder / "external"


def as_onnx(weights: list[np.ndarray], folder: Path) -> Path:
    onnx.save(onnx_model(weights), folder / "external.onnx")
    return folder / "external.onnx"


Save = Callable[[list[np.ndarray], Path], Path]


# Keras 3 asks NumPy 2 in the way of NumPy 1.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("save", [as_h5, as_keras, as_mixed_float16, as_saved_model])
def test_an_external_keras_model_becomes_a_bundle(
    save: Save, weights: list[np.ndarray], faces: Path, gate: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    words = (save(weights, tmp_path), "--labels", LABELS, "--data", faces, "--gate", gate)
    edgefer("convert", *words, "--formats", "int8", "--out", out)
    manifest = open_bundle(out).manifest
    assert (manifest.heads[0].labels, manifest.label_sets) == (FER2013, ("fer2013",))
    assert manifest.evidence.origin.startswith("external")
    assert manifest.evidence.parameters == sum(one.size for one in weights)
    assert manifest.heads[0].calibration.scores["int8"].accuracy > 0.25
    assert {"int8", "onnx", "labels", "card"} <= set(manifest.files)
    tensors = tflite_tensors(open_bundle(out).read("int8"))
    assert {one.dtype for one in tensors} <= {"int8", "int32", "int64"}
    assert "its training data is not known here" in (out / "MODEL_CARD.md").read_text()


def test_an_external_onnx_model_is_quantized_by_onnxruntime(
    weights: list[np.ndarray], faces: Path, gate: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text(LABELS.replace(",", "\n"))
    words = (as_onnx(weights, tmp_path), "--labels", tmp_path / "labels.txt", "--data", faces)
    arrays = tmp_path / "calibration"
    out = ("--out", tmp_path / "bundle.zip")
    edgefer("convert", *words, "--gate", gate, "--calibration", arrays, *out)
    reals, levels = np.load(arrays / "float32.npy"), np.load(arrays / "uint8.npy")
    assert (reals.dtype, levels.dtype, reals.shape) == (np.float32, np.uint8, levels.shape)
    assert reals.shape[1:] == (48, 48, 1)
    np.testing.assert_allclose(reals, levels / 255, atol=1e-6)
    manifest = open_bundle(tmp_path / "bundle.zip").manifest
    assert set(manifest.files) == {"onnx", "onnx-int8", "labels", "card"}
    assert manifest.heads[0].labels == FER2013
    assert manifest.input.dtype == "int8"
    assert manifest.heads[0].calibration.scores["onnx-int8"].accuracy > 0.25
    assert manifest.evidence.quantization.startswith("post-training")


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEFER_DATA", raising=False)


@pytest.mark.usefixtures("no_data")
def test_without_a_dataset_card_and_screen_say_what_was_not_judged(
    weights: list[np.ndarray], faces: Path, tmp_path: Path
) -> None:
    path, out = as_h5(weights, tmp_path), tmp_path / "bundle"
    done = edgefer("convert", path, "--labels", LABELS, "--out", out)
    assert "no --data: what " in done.stderr
    manifest, card = open_bundle(out).manifest, (out / "MODEL_CARD.md").read_text()
    assert set(manifest.files) == {"onnx", "dynamic", "labels", "card"}
    assert (manifest.heads[0].labels, manifest.label_sets) == (FER2013, ("fer2013",))
    assert manifest.gate.passed
    assert [check.name for check in manifest.gate.checks] == ["multiply-accumulates"]
    for name in ("accuracy drop of dynamic", "labels out of order"):
        assert name in manifest.gate.unjudged
        assert f"- {name}: no images to judge by." in card
    assert done.stdout.count("not judged: no images") == len(manifest.gate.unjudged)
    assert "## Not measured on faces" in card
    assert "not judged, for want of images" in card
    assert "what the model predicts was not judged" in done.stdout
    for verb in ("inspect", "compare"):
        edgefer("model", verb, out)
    edgefer("model", "formats", out, "--seconds", 0.05)
    done = edgefer("evaluate", out, "--data", faces, "--format", "dynamic")
    assert "what external was trained on is not known here" in done.stderr


@pytest.mark.usefixtures("no_data")
def test_without_a_dataset_int8_needs_images(weights: list[np.ndarray], tmp_path: Path) -> None:
    path, out = as_h5(weights, tmp_path), tmp_path / "bundle"
    words = ("convert", path, "--labels", "a,b,c,d,e,f,g", "--formats", "int8", "--out", out)
    line = last_line(edgefer(*words, status=1))
    assert "int8 and int16 find their ranges on images of faces: name some with" in line
    assert not out.exists()
    for count, status in ((99, 1), (100, 0)):
        images = np.random.default_rng(1).integers(0, 256, (count, 48, 48), np.uint8)
        np.savez(tmp_path / "faces.npz", images=images)
        done = edgefer(*words, "--representative", tmp_path / "faces.npz", status=status)
        if status:
            assert "99 representative images are too few; give 100 or more" in last_line(done)
    manifest = open_bundle(out).manifest
    assert "images that were given" in manifest.evidence.quantization
    assert "neither measured nor calibrated" in edgefer("model", "inspect", out).stdout
    assert manifest.heads[0].labels == tuple("abcdefg")
    assert [check.name for check in manifest.gate.checks] == [
        "float tensors of int8",
        "size of int8",
        "multiply-accumulates",
    ]
    done = edgefer(*words, "--sensitivity", status=1)
    assert "--sensitivity needs the int8 TFLite file and faces" in last_line(done)


@pytest.mark.usefixtures("no_data")
def test_dim_images_do_not_narrow_the_input(weights: list[np.ndarray], tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(20, 97, (100, 48, 48), np.uint8)
    np.savez(tmp_path / "faces.npz", images=images)
    words = (as_h5(weights, tmp_path), "--labels", LABELS, "--formats", "int8")
    given = ("--representative", tmp_path / "faces.npz")
    edgefer("convert", *words, *given, "--out", tmp_path / "bundle")
    affine = open_bundle(tmp_path / "bundle").manifest.input.affine
    assert affine.scale == pytest.approx(1 / 255)
    assert affine.zero_point == -128


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize(
    ("content", "complaint"),
    [("junk", "not an .npz with an array `images`"), (None, "No such file or directory")],
)
def test_representative_images_that_cannot_be_read_are_one_line(
    content: str | None, complaint: str, weights: list[np.ndarray], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "faces.npz").write_text(content)
    words = (as_h5(weights, tmp_path), "--labels", LABELS, "--formats", "int8")
    given = ("--representative", tmp_path / "faces.npz")
    done = edgefer("convert", *words, *given, "--out", tmp_path / "bundle", status=1)
    assert complaint in last_line(done)
    assert "pickle" not in done.stderr


def test_a_label_that_is_named_twice_is_refused(weights: list[np.ndarray], tmp_path: Path) -> None:
    words = (as_h5(weights, tmp_path), "--labels", "a,a,c,d,e,f,g", "--out", tmp_path / "bundle")
    assert "--labels names 'a' twice: a, a, c" in last_line(edgefer("convert", *words, status=1))


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 65])
def test_a_name_that_no_list_can_show_is_refused(
    name: str, weights: list[np.ndarray], tmp_path: Path
) -> None:
    words = (as_onnx(weights, tmp_path), "--labels", LABELS, "--out", tmp_path / "bundle")
    done = edgefer("convert", *words, "--name", name, status=1)
    assert "--name must be 1 to 64 characters on one line" in last_line(done)


def test_formats_that_an_onnx_model_cannot_be_converted_to_are_named(
    weights: list[np.ndarray], faces: Path, tmp_path: Path
) -> None:
    words = (as_onnx(weights, tmp_path), "--labels", LABELS, "--data", faces)
    done = edgefer("convert", *words, "--formats", "int8", "--out", tmp_path / "b", status=1)
    assert "cannot be converted to 'int8', only to onnx, onnx-int8" in last_line(done)
    done = edgefer("convert", *words, "--sensitivity", "--out", tmp_path / "b", status=1)
    assert "--sensitivity needs the int8 TFLite file" in last_line(done)


# --- what cannot be converted -------------------------------------------------


def junk(folder: Path, name: str, content: bytes = b"no model at all") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def net(shape: tuple[int | None, ...], *inner: Any) -> Any:
    """A small Keras model with given layers between its input and seven logits."""
    layers = keras2.layers
    image = layers.Input(shape)
    x = image
    for layer in inner:
        x = layer(x)
    return keras2.Model(image, layers.Dense(7)(layers.GlobalAveragePooling2D()(x)))


def saved(model: Any, folder: Path) -> Path:
    with silent():
        model.save(folder / "external.h5")
    return folder / "external.h5"


class Own(keras2.layers.Layer):  # type: ignore[misc]  # tf-keras ships no types
    """A layer that only its maker has."""

    def call(self, x: Any) -> Any:
        return x


def weights_alone(folder: Path) -> Path:
    net((48, 48, 1)).save_weights(folder / "external.h5")
    return folder / "external.h5"


def bare_saved_model(folder: Path) -> Path:
    tf.saved_model.save(tf.Module(), str(folder / "external"))
    return folder / "external"


def two_outputs(folder: Path) -> Path:
    layers = keras2.layers
    image = layers.Input((48, 48, 1))
    flat = layers.Flatten()(image)
    return saved(keras2.Model(image, [layers.Dense(7)(flat), layers.Dense(8)(flat)]), folder)


def a_map(folder: Path) -> Path:
    layers = keras2.layers
    image = layers.Input((48, 48, 1))
    return saved(keras2.Model(image, layers.Conv2D(7, 3)(image)), folder)


def onnx_file(folder: Path, **changes: Any) -> Path:
    model = onnx_model([np.zeros((144, 7), np.float32), np.zeros(7, np.float32)], **changes)
    onnx.save(model, folder / "external.onnx")
    return folder / "external.onnx"


def onnx_of_bytes(folder: Path) -> Path:
    path = onnx_file(folder)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["face"], ["real"], to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "real"
    onnx.save(model, path)
    return path


BAD: list[tuple[str, Callable[[Path], Path], str]] = [
    ("nothing", lambda folder: folder / "none.h5", "no such file; name a .h5, .keras or .onnx"),
    ("no h5", lambda folder: junk(folder, "a.h5"), "not a model that Keras can read"),
    ("no keras", lambda folder: junk(folder, "a.keras"), "not a model that Keras can read"),
    (
        "no metadata",
        lambda folder: junk(folder, "a.keras", to_zip({"metadata.json": b"{\xff"})),
        "not a model that Keras can read",
    ),
    ("no onnx", lambda folder: junk(folder, "a.onnx"), "not an ONNX model that can be read"),
    ("empty onnx", lambda folder: junk(folder, "a.onnx", b""), "not an ONNX model"),
    ("an image", lambda folder: junk(folder, "a.jpg"), "not a model that Keras can read"),
    ("a folder", lambda folder: folder, "not a model that Keras can read"),
    ("weights", weights_alone, "holds weights alone; save the whole model"),
    ("other SavedModel", bare_saved_model, "a SavedModel that Keras did not write"),
    (
        "not square",
        lambda folder: saved(net((48, 40, 1)), folder),
        "a square input, got 48x40x1",
    ),
    (
        "two channels",
        lambda folder: saved(net((48, 48, 2)), folder),
        "a grey or RGB input, got 48x48x2",
    ),
    (
        "open size",
        lambda folder: saved(net((None, None, 1)), folder),
        "an input of fixed size, got ?x?x1",
    ),
    ("two outputs", two_outputs, "expected one output, got 2"),
    ("a map", a_map, "expected one output value for each label"),
    (
        "own layer",
        lambda folder: saved(net((48, 48, 1), Own()), folder),
        "layer 'Own' is not Keras's own",
    ),
    (
        "code",
        lambda folder: saved(net((48, 48, 1), keras2.layers.Lambda(abs)), folder),
        "has a Lambda layer, which is code",
    ),
    (
        "dynamic batch",
        lambda folder: onnx_file(folder, batch="N"),
        "'face' has the dynamic batch 'N'; fix it: python -m onnxruntime.tools.make_dynamic",
    ),
    ("large batch", lambda folder: onnx_file(folder, batch=4), "expected a batch of 1"),
    (
        "custom operation",
        lambda folder: onnx_file(folder, domain="com.maker"),
        "has the custom operation com.maker.Softmax",
    ),
    ("bytes in", onnx_of_bytes, "expected a float32 input, got uint8"),
]


@pytest.mark.parametrize(("make", "message"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_what_cannot_be_converted_is_one_clear_line(
    make: Callable[[Path], Path], message: str, faces: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    words = (make(folder), "--labels", LABELS, "--data", faces, "--out", tmp_path / "bundle")
    done = edgefer("convert", *words, status=1)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "name its 7 outputs in their order: --labels a,b,c or a file"),
        ("happy,sad", "has 7 outputs, --labels names 2: happy, sad"),
        (
            "happy,happy,sad,angry,fear,disgust,neutral",
            "--labels names 'happy' twice: happy, happy",
        ),
        (
            "a,b,c,d,e,f,g",
            "has the labels a, b, c, d, e, f, g: neither those of fer2013 nor ferplus",
        ),
        ("a,b,c,d,e,f,unknown", "no class can be called 'unknown'"),
    ],
)
def test_labels_that_do_not_match_the_outputs_are_refused(
    labels: str | None, message: str, weights: list[np.ndarray], faces: Path, tmp_path: Path
) -> None:
    words = [as_onnx(weights, tmp_path), "--data", faces, "--out", tmp_path / "bundle"]
    done = edgefer("convert", *words, *(("--labels", labels) if labels else ()), status=1)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_probabilities_that_no_last_layer_makes_are_refused(
    weights: list[np.ndarray], faces: Path, tmp_path: Path
) -> None:
    inner = keras_model(keras2, weights)
    doubled = keras2.layers.Average()([inner.output, inner.output])
    path = saved(keras2.Model(inner.input, doubled), tmp_path)
    words = (path, "--labels", LABELS, "--data", faces, "--out", tmp_path / "bundle")
    assert "expected logits, got probabilities, and not from a last softmax layer" in last_line(
        edgefer("convert", *words, status=1)
    )


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file may grow beyond a size: as on a full disk, the write that would fails half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_half_way_leaves_the_old_bundle_as_it_was(
    weights: list[np.ndarray], faces: Path, gate: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "bundle"
    words = [as_onnx(weights, tmp_path), "--labels", LABELS, "--data", faces, "--gate", gate]
    words += ["--formats", "onnx", "--out", out]
    edgefer("convert", *words)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    # The manifest is written last and is the largest here.
    assert max(before, key=lambda name: len(before[name])) == "manifest.json"
    with disk_full_at(len(before["manifest.json"]) - 100):
        done = edgefer("convert", *words, status=1)
    # The gate may warn of a class with too few images: how the model did there is chance.
    error = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    assert len(error) == 1
    assert "could not be written: File too large; what was there before is unharmed" in error[0]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(out.parent.iterdir()) == [out]


def test_a_model_or_a_run_and_not_both() -> None:
    assert "name either a MODEL or --run" in edgefer("convert", "--out", "x", status=2).stderr
