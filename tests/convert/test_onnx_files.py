from __future__ import annotations

import importlib

import numpy as np
import onnx
import onnxruntime
import pytest
import tf_keras as keras
from onnx import numpy_helper

from edgefer.bundle import open_bundle
from edgefer.errors import ConversionError
from edgefer_convert.formats import onnx_int8
from edgefer_convert.formats.onnx_files import macs, parameters, to_int8_onnx, to_onnx
from edgefer_convert.formats.tflite import to_int8_after_training
from edgefer_train.architectures import macs as macs_of_keras
from edgefer_train.architectures import parameters as parameters_of_keras

layers = keras.layers
IMAGES = np.linspace(0, 1, 100 * 8 * 8, dtype=np.float32).reshape(100, 8, 8, 1)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = layers.Input((8, 8, 1))
    x = layers.Conv2D(6, 3, 2, "same", name="stem")(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.Conv2D(6, 1, name="left")(x)
    x = layers.Add()([y, layers.Conv2D(6, 1, name="right")(x)])
    made = keras.Model(image, layers.Dense(7, name="head")(layers.Flatten()(x)))
    # Biases begin at 0, which tf2onnx leaves out.
    draw = np.random.default_rng(1)
    made.set_weights([one + draw.uniform(0.01, 0.1, one.shape) for one in made.get_weights()])
    return made


def proto(content: bytes) -> onnx.ModelProto:
    read = onnx.load_model_from_string(content)
    onnx.checker.check_model(read)
    return read


def test_counts_agree_with_those_of_training(model: keras.Model) -> None:
    content = to_onnx(model)
    assert macs(content) == macs_of_keras(model)
    # The stem's normalization becomes its bias.
    assert parameters(content) == pytest.approx(parameters_of_keras(model), abs=12)


def test_the_shipped_model_has_the_macs_of_its_manifest() -> None:
    bundle = open_bundle("small")
    assert macs(bundle.read("onnx")) == bundle.manifest.evidence.macs


def test_the_same_model_gives_the_same_bytes(model: keras.Model) -> None:
    tflite = to_int8_after_training(model, IMAGES)
    assert to_onnx(model) == to_onnx(model)
    assert to_int8_onnx(tflite) == to_int8_onnx(tflite)


def test_layers_keep_their_names(model: keras.Model) -> None:
    names = [node.name for node in proto(to_onnx(model)).graph.node]
    # tf2onnx gives a depthwise convolution with a bias no name but a number.
    for layer in ("left", "right", "batch_normalization"):
        assert any(layer in name for name in names)
    assert not any("__" in name for name in names)


def test_the_symmetric_file_is_what_tensorrt_takes(model: keras.Model) -> None:
    read = proto(onnx_int8.to_symmetric(to_onnx(model), IMAGES))
    constants = {item.name: numpy_helper.to_array(item) for item in read.graph.initializer}
    pairs = [node for node in read.graph.node if node.op_type.endswith("quantizeLinear")]
    pairs += [node for node in read.graph.node if node.op_type == "QuantizeLinear"]
    assert pairs
    for node in pairs:
        assert not constants[node.input[2]].any()
        assert constants[node.input[2]].dtype == np.int8
    kernels = [one for one in constants.values() if one.ndim == 4]
    assert kernels
    assert {one.dtype for one in kernels} == {np.dtype(np.int8)}
    assert min(one.min() for one in kernels) >= -127
    assert [one.domain for one in read.opset_import] == [""]


def test_int8_goes_in_and_out_of_the_quantized_file(model: keras.Model) -> None:
    content = onnx_int8.to_int8(to_onnx(model), IMAGES)
    read = proto(content)
    ends = (read.graph.input[0], read.graph.output[0])
    assert [one.type.tensor_type.elem_type for one in ends] == [onnx.TensorProto.INT8] * 2
    first, last = onnx_int8.input_output_affine(content)
    assert first.scale == pytest.approx(1 / 255, rel=1e-4)
    logits = model(IMAGES).numpy()
    assert last.scale * 255 == pytest.approx(logits.max() - logits.min(), rel=0.02)


def test_a_model_that_ends_in_float_is_refused() -> None:
    image = layers.Input((8, 8, 1))
    flat = layers.Dense(7)(layers.Flatten()(image))
    content = to_onnx(keras.Model(image, keras.activations.selu(flat)))
    with pytest.raises(ConversionError, match="left the output of the model in float"):
        onnx_int8.to_int8(content, IMAGES)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("invert", [False, True])
def test_what_a_normalization_holds_is_kept(library: str, invert: bool) -> None:
    chosen = importlib.import_module(library)
    layers = chosen.layers
    image = layers.Input((8, 8, 1))
    normal = layers.Normalization(axis=None, mean=0.5, variance=0.25, invert=invert)(image)
    model = chosen.Model(image, layers.Dense(3)(layers.Flatten()(normal)))
    session = onnxruntime.InferenceSession(to_onnx(model))
    faces = np.random.default_rng(1).random((1, 8, 8, 1), np.float32)
    (given,) = session.get_inputs()
    (found,) = session.run(None, {given.name: faces})
    np.testing.assert_allclose(found, np.asarray(model(faces)), atol=1e-5)
