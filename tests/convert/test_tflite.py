from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from edgefer.errors import ConversionError
from edgefer.runtime import tflite_tensors
from edgefer_convert.formats.edgetpu.support import check
from edgefer_convert.formats.tflite import (
    float_tensors,
    input_affine,
    output_affine,
    to_float16,
    to_int8,
    to_int8_after_training,
)

layers = keras.layers
annotate = tfmot.quantization.keras.quantize_annotate_layer
PICTURES = np.linspace(0, 1, 100 * 8 * 8, dtype=np.float32).reshape(100, 8, 8, 1)


def net(*, island: bool = False) -> keras.Model:
    """A net annotated for quantization throughout, but for an island of another kind."""
    picture = layers.Input((8, 8, 1))
    x = annotate(layers.Conv2D(4, 3))(picture)
    if island:
        x = layers.ELU(name="island")(x)
    x = annotate(layers.Dense(7))(annotate(layers.Flatten())(x))
    return tfmot.quantization.keras.quantize_apply(keras.Model(picture, x))


def plain() -> keras.Model:
    picture = layers.Input((8, 8, 1))
    x = layers.ReLU()(layers.Conv2D(4, 3)(picture))
    return keras.Model(picture, layers.Dense(7)(layers.Flatten()(x)))


def test_a_model_quantized_throughout_keeps_no_float() -> None:
    assert float_tensors(to_int8(net())) == ()


def test_a_layer_left_out_of_quantization_is_found_by_its_name() -> None:
    left = float_tensors(to_int8(net(island=True)))
    assert any("island" in name for name in left)


def test_after_training_int8_takes_its_ranges_from_the_pictures() -> None:
    keras.utils.set_random_seed(1)
    model = plain()
    content = to_int8_after_training(model, PICTURES)
    assert float_tensors(content) == ()
    assert input_affine(content).scale == pytest.approx(1 / 255, rel=1e-4)
    logits = model(PICTURES).numpy()
    affine = output_affine(content)
    assert affine.scale * 255 == pytest.approx(logits.max() - logits.min(), rel=0.02)


def test_after_training_an_edge_tpu_could_run_it_all() -> None:
    verdict = check(to_int8_after_training(plain(), PICTURES))
    assert verdict.refused == ""
    assert verdict.mapped_share == 1


def test_float16_halves_the_weights_and_takes_float32() -> None:
    content = to_float16(plain())
    assert [one.dtype for one in tflite_tensors(content, "inputs")] == ["float32"]
    assert "float16" in {one.dtype for one in tflite_tensors(content)}


def test_the_same_model_gives_the_same_bytes() -> None:
    model = plain()
    assert to_int8_after_training(model, PICTURES) == to_int8_after_training(model, PICTURES)
    assert to_float16(model) == to_float16(model)


def test_an_operation_that_tflite_lacks_is_named_in_one_line() -> None:
    picture = layers.Input((8, 8, 1))
    flat = layers.Flatten()(picture)
    model = keras.Model(picture, layers.Dense(7)(tf.math.betainc(flat, flat, flat)))
    with pytest.raises(ConversionError, match=r"^TFLite has no operation for Betainc: .*$"):
        to_float16(model)
