from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from edgefer.errors import ConversionError
from edgefer.litert import tflite_tensors
from edgefer_convert.formats.edgetpu.support import check_support
from edgefer_convert.formats.tflite import (
    float_tensors,
    input_output_affine,
    to_float16,
    to_int8,
    to_int8_after_training,
)

layers = keras.layers
annotate = tfmot.quantization.keras.quantize_annotate_layer
IMAGES = np.linspace(0, 1, 100 * 8 * 8, dtype=np.float32).reshape(100, 8, 8, 1)


def net(*, island: bool = False) -> keras.Model:
    """A net annotated for quantization throughout, but for an island of another kind."""
    image = layers.Input((8, 8, 1))
    x = annotate(layers.Conv2D(4, 3))(image)
    if island:
        x = layers.ELU(name="island")(x)
    x = annotate(layers.Dense(7))(annotate(layers.Flatten())(x))
    return tfmot.quantization.keras.quantize_apply(keras.Model(image, x))


def plain() -> keras.Model:
    image = layers.Input((8, 8, 1))
    x = layers.ReLU()(layers.Conv2D(4, 3)(image))
    return keras.Model(image, layers.Dense(7)(layers.Flatten()(x)))


def test_a_model_quantized_throughout_keeps_no_float() -> None:
    assert float_tensors(to_int8(net())) == ()


def test_a_layer_left_out_of_quantization_is_found_by_its_name() -> None:
    left = float_tensors(to_int8(net(island=True)))
    assert any("island" in name for name in left)


def test_after_training_int8_gets_its_ranges_from_the_images() -> None:
    keras.utils.set_random_seed(1)
    model = plain()
    content = to_int8_after_training(model, IMAGES)
    assert float_tensors(content) == ()
    first, last = input_output_affine(content)
    assert first.scale == pytest.approx(1 / 255, rel=1e-4)
    logits = model(IMAGES).numpy()
    assert last.scale * 255 == pytest.approx(logits.max() - logits.min(), rel=0.02)


def test_after_training_an_edge_tpu_could_run_it_all() -> None:
    verdict = check_support(to_int8_after_training(plain(), IMAGES))
    assert verdict.refused == ""
    assert verdict.mapped_share == 1


def test_float16_halves_the_weights_of_a_float32_input() -> None:
    content = to_float16(plain())
    assert [one.dtype for one in tflite_tensors(content, "inputs")] == ["float32"]
    assert "float16" in {one.dtype for one in tflite_tensors(content)}


def test_the_same_model_gives_the_same_bytes() -> None:
    model = plain()
    assert to_int8_after_training(model, IMAGES) == to_int8_after_training(model, IMAGES)
    assert to_float16(model) == to_float16(model)


def test_an_operation_that_tflite_lacks_is_named_in_one_line() -> None:
    image = layers.Input((8, 8, 1))
    flat = layers.Flatten()(image)
    model = keras.Model(image, layers.Dense(7)(tf.math.betainc(flat, flat, flat)))
    with pytest.raises(ConversionError, match=r"^TFLite has no operation for Betainc: .*$"):
        to_float16(model)
