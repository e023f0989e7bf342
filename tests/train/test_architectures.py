from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tf_keras as keras

from edgefer.errors import ConversionError, SettingsError
from edgefer.litert import tflite_tensors
from edgefer.preprocess import PIXEL
from edgefer_convert.formats.tflite import input_output_affine, to_int8
from edgefer_train.architectures import (
    ARCHITECTURES,
    build,
    describe_architectures,
    macs,
    one_head,
    parameters,
)
from edgefer_train.architectures.blocks import layers
from edgefer_train.fitting.initial_weights import build_model
from edgefer_train.quantization.fake_quant import (
    load_quantized,
    prepare_for_quantization,
    set_ranges,
)
from edgefer_train.recipe import Recipe
from edgefer_train.run import save_model
from support.int8_outputs import int8_logits
from support.slices import write_slice

HEADS = {"fer2013": 7, "ferplus": 8}
TRANSFER = ("resnet50", "vgg16", "inceptionv3", "mobilenet_v2_transfer")
FREE = [name for name, one in ARCHITECTURES.items() if not one.fixed_by]
DEEP = ("mobilenet_v2", "mobilenet_v3", "inceptionv3", "mobilenet_v2_transfer")
"""Nets that, after a few steps, multiply each rounding layer by layer: of MobileNetV2's 30, one
thousandth of a step becomes four. Their labels cannot be held equal here, but answers near."""
LARGE = 5_000_000
"""Weights above which a net is trained for two steps of four faces instead of four of eight."""


@dataclass
class Faces:
    """The first faces of Training."""

    images: np.ndarray
    labels: np.ndarray
    votes: np.ndarray

    def resized(self, side: int) -> np.ndarray:
        scaled = [cv2.resize(image, (side, side)) for image in self.images]
        return np.stack(scaled)[..., np.newaxis].astype(np.float32) / 255

    def targets(self) -> dict[str, np.ndarray]:
        return {"fer2013": self.labels, "ferplus": self.votes[:, :8].argmax(1)}


@dataclass
class Cycle:
    """A net of the registry on its way from nothing to int8, on real faces."""

    name: str
    losses: list[float]
    said: dict[str, np.ndarray]
    """Logits (N, labels) of the float net, with fake quantization, and fine-tuned so."""
    int8: bytes
    images: np.ndarray


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Faces:
    path = write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 32, 1, 1)
    with np.load(path) as arrays:
        return Faces(arrays["images"][:32], arrays["labels"][:32], arrays["ferplus_votes"][:32])


ALWAYS = {"tiny", "mini_xception"}
"""One plain net, and one whose layers need a quantizer of ours; every other takes minutes."""
MARKED = [
    pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in ARCHITECTURES
]


@pytest.fixture(scope="module", params=MARKED)
def cycle(request: pytest.FixtureRequest, faces: Faces) -> Cycle:
    keras.utils.set_random_seed(1)
    side = ARCHITECTURES[request.param].side
    model, images = build(request.param, HEADS, side), faces.resized(side)
    large = model.count_params() > LARGE
    batch = 4 if large else 8
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            # A few steps must do for means that take thousands else; see also `settle`.
            layer.momentum = 0.0 if large else 0.1
    losses = fit(model, images[: 4 * batch], faces.targets(), 0.01, batch)
    if large:
        settle(model, images)
    single = one_head(model, "fer2013")
    qat = prepare_for_quantization(single)
    set_ranges(qat, single, images)
    see_weights(qat, images[:1])
    said = {"float": logits(single, images), "rounded": logits(qat, images)}
    # At a higher rate InceptionV3, which has learnt nothing yet, runs away.
    losses += fit(qat, images[: 2 * batch], {"fer2013": faces.labels}, 1e-6, batch)
    if large:
        settle(qat, images)
    said["tuned"] = logits(qat, images)
    return Cycle(request.param, losses, said, to_int8(qat), images)


def settle(model: Any, images: np.ndarray) -> None:
    """Let normalizations without momentum take their means from all images, by one look.

    Those of a batch of four leave channels of a deep net with next to no variance: fifty layers
    make logits in the hundreds of that, and which faces they befall is chance. Nothing is dropped
    meanwhile, for what is kept would be scaled up, and the means with it.
    """
    dropouts = [one for one in model.submodules if isinstance(one, layers.Dropout)]
    rates = [one.rate for one in dropouts]
    for one in dropouts:
        one.rate = 0.0
    model(images, training=True)
    for one, rate in zip(dropouts, rates, strict=True):
        one.rate = rate


def see_weights(qat: Any, images: np.ndarray) -> None:
    """Let tfmot take down what weights range over, as a step of training does, and no more."""
    inner = [wrapper.layer for wrapper in qat.layers if hasattr(wrapper, "layer")]
    normalizations = [one for one in inner if isinstance(one, layers.BatchNormalization)]
    for layer in normalizations:
        layer.trainable = False
    qat(images, training=True)
    for layer in normalizations:
        layer.trainable = True


def logits(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(images, verbose=0))


def fit(
    model: Any, images: np.ndarray, targets: dict[str, np.ndarray], rate: float, batch: int
) -> list[float]:
    """Train for one epoch, step by step: tracing a net takes longer than these few steps."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    count = len(images)
    given = {head: values[:count] for head, values in targets.items()}
    whole = given if len(given) > 1 else next(iter(given.values()))
    return list(model.fit(images, whole, batch, verbose=0).history["loss"])


def test_every_net_learns_two_label_sets_and_goes_on_with_fake_quantization(cycle: Cycle) -> None:
    assert len(cycle.losses) == 2
    assert np.isfinite(cycle.losses).all()


def test_every_net_becomes_int8_without_a_float_tensor(cycle: Cycle) -> None:
    assert {tensor.dtype for tensor in tflite_tensors(cycle.int8)} <= {"int8", "int32", "int64"}
    affine, _ = input_output_affine(cycle.int8)
    assert affine.scale == pytest.approx(PIXEL.scale)
    assert affine.zero_point == PIXEL.zero_point


def test_int8_says_what_fake_quantization_says(cycle: Cycle) -> None:
    said, wanted = int8_logits(cycle.int8, cycle.images), cycle.said["tuned"]
    moved = np.abs(said - wanted).mean()
    if cycle.name in DEEP:
        assert moved <= 0.1 * np.ptp(wanted)
    else:
        assert moved <= 2 * input_output_affine(cycle.int8)[1].scale
        assert (said.argmax(1) == wanted.argmax(1)).mean() >= 0.9


def test_fake_quantization_says_nearly_what_float_says(cycle: Cycle) -> None:
    rounded = np.abs(cycle.said["rounded"] - cycle.said["float"]).mean()
    assert rounded <= 0.15 * np.ptp(cycle.said["float"])


def test_a_quantized_net_with_layers_of_ours_is_saved_and_read_back(tmp_path: Path) -> None:
    model = prepare_for_quantization(build("elu_cnn", {"fer2013": 7}))
    image = np.random.default_rng(1).random((2, 48, 48, 1), np.float32)
    save_model(model, tmp_path / "qat.h5")
    again = load_quantized(tmp_path / "qat.h5")
    np.testing.assert_array_equal(again(image), model(image))


def test_both_heads_are_quantized_together() -> None:
    model = prepare_for_quantization(build("tiny", HEADS))
    assert model.get_layer("quant_fer2013").output.shape == (None, 7)
    assert model.output["ferplus"].shape == (None, 8)


def test_a_layer_without_an_int8_form_is_named() -> None:
    image = layers.Input((8, 8, 1))
    x = layers.PReLU(name="strange")(layers.Conv2D(2, 3)(image))
    model = keras.Model(image, layers.Flatten()(x))
    with pytest.raises(ConversionError, match=r"'strange' \(PReLU\) has no int8 form"):
        prepare_for_quantization(model)


def test_an_activation_inside_a_convolution_that_int8_lacks_is_named() -> None:
    image = layers.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, activation="elu", name="conv")(image)
    model = keras.Model(image, layers.Flatten()(x))
    with pytest.raises(ConversionError, match=r"'conv' .* activation elu"):
        prepare_for_quantization(model)


def test_a_model_within_a_model_is_refused() -> None:
    model = keras.Sequential([keras.Sequential([layers.Dense(2, input_shape=(3,))], name="inner")])
    model.build((None, 3))
    with pytest.raises(ConversionError, match="'inner' is a model itself"):
        prepare_for_quantization(model)


def test_tiny_keeps_its_two_limits() -> None:
    model = build("tiny", {"ferplus": 8})
    assert macs(model) <= 10.2e6
    qat = prepare_for_quantization(model)
    set_ranges(qat, model, np.random.default_rng(1).random((8, 48, 48, 1), np.float32))
    assert len(to_int8(qat)) <= 100_000


@pytest.mark.parametrize("name", [name for name in FREE if name not in TRANSFER])
def test_a_net_with_a_free_side_says_the_same_as_with_a_fixed_one(name: str) -> None:
    keras.utils.set_random_seed(1)
    fixed, free = build(name, {"fer2013": 7}), build(name, {"fer2013": 7}, None)
    free.set_weights(fixed.get_weights())
    rng = np.random.default_rng(1)
    image = rng.random((1, 48, 48, 1), np.float32)
    np.testing.assert_allclose(free(image), fixed(image), rtol=1e-4, atol=1e-6)
    assert free(rng.random((1, 40, 40, 1), np.float32)).shape == (1, 7)


@pytest.mark.parametrize("name", ["custom_cnn", "elu_cnn", "deepfer"])
def test_a_net_that_flattens_cannot_have_a_free_side(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} flattens .* leave `sizes` out"):
        build(name, {"fer2013": 7}, None)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3"])
def test_mobile_nets_end_at_six_pixels_from_either_side(name: str) -> None:
    for side in (48, 96):
        model = build(name, {"fer2013": 7}, side)
        assert model.get_layer("pool").input_shape[1:3] == (6, 6)


def test_images_too_small_for_a_net_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"inceptionv3 needs .* at least 75 pixels"):
        build("inceptionv3", {"fer2013": 7}, 48)


def test_sizes_are_those_of_the_known_nets() -> None:
    # Keras counts 23,587,712 in ResNet50 without its top, 106,240 of them in normalizations
    # (53 with a gamma, a beta and two means each), which fold.
    top = 2048 * 256 + 256 + 256 * 7 + 7
    rgb = 3 + 3
    assert parameters(build("resnet50", {"fer2013": 7})) == 23_587_712 - 106_240 + top + rgb
    # 13 convolutions of VGG16 at 48x48, as published at 224x224: 15.3 G x (48 / 224)².
    assert macs(build("vgg16", {"fer2013": 7})) == pytest.approx(
        15.35e9 * (48 / 224) ** 2, rel=0.01
    )


def test_a_separable_convolution_counts_both_of_its_parts() -> None:
    image = layers.Input((8, 8, 4))
    x = layers.SeparableConv2D(6, 3, 2, "same", use_bias=False)(image)
    assert macs(keras.Model(image, x)) == 4 * 4 * (9 * 4 + 4 * 6)


def test_a_normalization_after_an_activation_counts() -> None:
    image = layers.Input((8, 8, 1))
    x = layers.BatchNormalization()(layers.ReLU()(layers.Conv2D(5, 3, use_bias=False)(image)))
    assert parameters(keras.Model(image, x)) == 9 * 5 + 2 * 5


def test_the_table_tells_every_net_apart() -> None:
    table = {one.name: one for one in describe_architectures()}
    assert list(table) == list(ARCHITECTURES)
    assert table["tiny"].mmacs < table["small"].mmacs < table["elu_cnn"].mmacs
    assert all(one.source for one in table.values())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as Keras would fetch it for MobileNetV2, its numbers drawn at random."""
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2_no_top.h5"
    shape = (96, 96, 3)
    net = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=shape)
    net.save_weights(path)
    return path


def base_kernel(model: Any) -> np.ndarray:
    return np.asarray(model.get_layer("block_5_expand").get_weights()[0])


def test_a_net_starts_from_a_local_file(weights: Path) -> None:
    one, other = (
        base_kernel(build("mobilenet_v2_transfer", HEADS, 96, str(weights))) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, base_kernel(build("mobilenet_v2_transfer", HEADS, 96)))


def test_a_frozen_base_stays_as_it_is(weights: Path) -> None:
    keras.utils.set_random_seed(1)
    model = build("mobilenet_v2_transfer", {"fer2013": 7}, 96, str(weights), frozen=True)
    names = [weight.name for weight in model.trainable_weights]
    assert sorted(name.split("/")[0] for name in names) == ["fer2013", "fer2013", "top", "top"]
    before = model.get_layer("bn_Conv1").get_weights()
    images = np.random.default_rng(1).random((4, 96, 96, 1), np.float32)
    fit(model, images, {"fer2013": np.zeros(4)}, 0.1, 4)
    for old, new in zip(before, model.get_layer("bn_Conv1").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_share_of_a_base_is_frozen_and_its_top_is_as_wide_as_asked(weights: Path) -> None:
    recipe = Recipe("mobilenet_v2_transfer", side=96, weights=str(weights), frozen=0.5, top=1024)
    model = build_model(recipe, {"fer2013": "abcdefg"}, 96)
    assert model.get_layer("top").units == 1024
    base = [one for one in model.layers if one.name not in ("image", "rgb", "top", "fer2013")]
    learn = [one.trainable for one in base]
    assert learn.index(True) == pytest.approx(len(base) / 2, abs=2)
    assert learn == sorted(learn), "the first layers stay, the last learn"


def test_a_top_of_a_net_without_a_base_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"tiny has no base for `top`; leave it out"):
        build("tiny", HEADS, top=1024)


def test_grey_becomes_what_the_weights_expect() -> None:
    grey = np.array([0.0, 0.5, 1.0], np.float32).reshape(3, 1, 1, 1)
    image = np.tile(grey, (1, 48, 48, 1))
    for name, application in (("vgg16", "vgg16"), ("resnet50", "resnet50")):
        model = build(name, {"fer2013": 7})
        seen = keras.Model(model.input, model.get_layer("rgb").output)(image)
        three = np.repeat(image * 255, 3, axis=-1)
        expected = getattr(keras.applications, application).preprocess_input(three)
        np.testing.assert_allclose(seen, expected, atol=1e-3)


def test_weights_of_another_net_are_refused(weights: Path) -> None:
    with pytest.raises(SettingsError, match="not the weights of VGG16 without its top") as refused:
        build("vgg16", HEADS, weights=str(weights))
    assert "\n" not in str(refused.value)


def test_a_missing_file_of_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not there; `weights` is imagenet, none, or a file"):
        build("vgg16", HEADS, weights=str(tmp_path / "vgg16.h5"))


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vgg16.h5").write_text("not found")
    with pytest.raises(SettingsError, match="is no HDF5 file"):
        build("vgg16", HEADS, weights=str(tmp_path / "vgg16.h5"))


def test_without_a_network_imagenet_weights_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A proxy that nothing listens on: the download fails here on every machine alike.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # urllib keeps an opener for all of the process, and that its proxies.
    monkeypatch.setattr(urllib.request, "_opener", None)
    with pytest.raises(SettingsError, match=r"cannot be fetched; bring https://.*notop") as refused:
        build("vgg16", HEADS, weights="imagenet")
    assert "\n" not in str(refused.value)


def test_a_frozen_base_without_weights_is_refused() -> None:
    with pytest.raises(SettingsError, match="frozen without weights would leave VGG16 random"):
        build("vgg16", HEADS, frozen=True)


def test_weights_for_a_net_without_a_base_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"small has no base .* resnet50, vgg16, inceptionv3"):
        build("small", HEADS, weights="imagenet")


def test_an_unknown_architecture_names_the_registry() -> None:
    with pytest.raises(
        SettingsError, match="unknown architecture 'vgg'; known: large, small, tiny"
    ):
        build("vgg", HEADS)
