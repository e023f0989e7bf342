"""Nets of the registry's blocks in any order: int8 keeps no float and predicts the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tf_keras as keras

from edgefer.affine import Affine
from edgefer.litert import tflite_tensors
from edgefer_convert.formats.tflite import input_output_affine, to_int8
from edgefer_train.architectures import classic, mobile, residual
from edgefer_train.architectures.blocks import Tensor, convolution, dense_head, layers, pooled
from edgefer_train.quantization.fake_quant import prepare_for_quantization, set_ranges
from support.int8_outputs import int8_logits as said_in_int8
from support.slices import write_slice

pytestmark = pytest.mark.slow

SIDE, LABELS, FACES = 24, 7, 200

Block = Callable[[Tensor, int, int, str], Tensor]
"""From features, filters, a stride and a name to features."""


def residual_block(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    return residual._residual(x, filters, stride, name)


def separable_residual(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    return residual._separable_residual(x, filters, stride, name)


def separable(x: Tensor, filters: int, _stride: int, name: str) -> Tensor:
    return classic._xception_block(x, filters, name)


def inverted(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    return mobile._bottleneck(x, mobile.Bottleneck(3, 2 * filters, filters, stride), name)


def squeezed(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    bottleneck = mobile.Bottleneck(3, 2 * filters, filters, stride, squeeze=True)
    return mobile._bottleneck(x, bottleneck, name)


def swished(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    bottleneck = mobile.Bottleneck(3, 2 * filters, filters, stride, swish=True)
    return mobile._bottleneck(x, bottleneck, name)


def elu(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    x = classic._elu(classic._same(x, filters, 3, name), name)
    return classic._pool(x, 0.2, name) if stride == 2 else x


def normalized(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return classic._pool(x, 0.0, name) if stride == 2 else x


BLOCKS: dict[str, Block] = {
    "residual": residual_block,
    "separable_residual": separable_residual,
    "separable": separable,
    "inverted": inverted,
    "squeezed": squeezed,
    "swished": swished,
    "elu": elu,
    "normalized": normalized,
}


def flat_head(x: Tensor, size: int, name: str) -> Tensor:
    return dense_head(layers.Flatten(name="flatten")(x), size, name)


def pooled_head(x: Tensor, size: int, name: str) -> Tensor:
    return dense_head(pooled(x, 0.2), size, name)


HEADS: dict[str, Callable[[Tensor, int, str], Tensor]] = {
    "flat": flat_head,
    "pooled": pooled_head,
    "map": classic.map_head,
}


@dataclass(frozen=True)
class Design:
    """A net to build."""

    seed: int
    blocks: tuple[tuple[str, int, int], ...]
    """Kind, filters and stride of each."""
    head: str


DESIGNS = (
    Design(1, (("elu", 8, 1),), "flat"),
    Design(637, (("swished", 8, 1),), "flat"),
    Design(63, (("separable", 12, 2),), "map"),
    Design(1000, (("residual", 8, 1), ("swished", 8, 1), ("separable", 8, 2)), "map"),
    Design(155, (("separable_residual", 12, 1),), "map"),
    Design(143, (("separable_residual", 8, 2), ("residual", 8, 2), ("elu", 12, 2)), "map"),
    Design(2, (("inverted", 8, 2), ("squeezed", 8, 1)), "pooled"),
    Design(3, (("normalized", 12, 2),), "pooled"),
)
"""Drawn at random once, but the last two: those have what the others lack."""


def test_every_block_and_every_head_is_in_a_net() -> None:
    assert {kind for design in DESIGNS for kind, _, _ in design.blocks} == set(BLOCKS)
    assert {design.head for design in DESIGNS} == set(HEADS)


@pytest.fixture(scope="module")
def pictures(data: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Real faces (N, SIDE, SIDE, 1) in 0..1."""
    path = write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", FACES, 1, 1)
    with np.load(path) as arrays:
        small = [cv2.resize(one, (SIDE, SIDE)) for one in arrays["images"][:FACES]]
    return np.stack(small)[..., np.newaxis].astype(np.float32) / 255


def built(design: Design, images: np.ndarray) -> Any:
    """The net as if trained: normalizations fit its images, and every label is predicted."""
    keras.utils.set_random_seed(design.seed)
    image = layers.Input((SIDE, SIDE, 1), name="picture")
    x = layers.ReLU(name="stem_relu")(convolution(image, 8, 3, 2, "stem"))
    for at, (kind, filters, stride) in enumerate(design.blocks, 1):
        x = BLOCKS[kind](x, filters, stride, f"block{at}")
    model = keras.Model(image, HEADS[design.head](x, LABELS, "logits"), name="drawn")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    last = next(one for one in reversed(model.layers) if one.weights)
    kernel, bias = last.get_weights()
    last.set_weights([kernel, bias - model(images).numpy().mean(0)])
    return model


def quantized(model: Any, images: np.ndarray) -> Any:
    """The net with fake quantization, after a step of training."""
    qat = prepare_for_quantization(model)
    set_ranges(qat, model, images)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    qat.compile(keras.optimizers.SGD(1e-4), loss, run_eagerly=True)
    qat.train_on_batch(images[:16], np.arange(16) % LABELS)
    return qat


def output_affine(content: bytes) -> Affine:
    return input_output_affine(content)[1]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: str(design.seed))
def test_any_net_of_our_blocks_is_int8_throughout_and_says_what_fake_quantization_says(
    design: Design, pictures: np.ndarray
) -> None:
    qat = quantized(built(design, pictures), pictures)
    content = to_int8(qat)
    assert {one.dtype for one in tflite_tensors(content)} <= {"int8", "int32", "int64"}
    expected, said = qat(pictures).numpy(), said_in_int8(content, pictures)
    same = said.argmax(-1) == expected.argmax(-1)
    count = output_affine(content).scale
    assert np.abs(said - expected).mean() < count
    # Two labels within a count of each other are one to int8.
    best = np.sort(expected)
    tied = best[:, -1] - best[:, -2] < 1.5 * count
    assert (same | tied).mean() >= 0.99
