from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from edgefer_convert.tflite import float_tensors, to_float16, to_int8_after_training


@pytest.fixture(scope="module")
def net() -> keras.Model:
    keras.utils.set_random_seed(1)
    picture = keras.layers.Input((48, 48, 1))
    x = keras.layers.Conv2D(4, 3, 2, activation="relu")(picture)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(picture, keras.layers.Dense(3)(x))


def test_an_int8_file_has_no_float_tensor(net: keras.Model) -> None:
    pictures = np.random.default_rng(1).random((100, 48, 48, 1), np.float32)
    assert float_tensors(to_int8_after_training(net, pictures)) == ()


def test_float_tensors_are_found(net: keras.Model) -> None:
    assert float_tensors(to_float16(net))
