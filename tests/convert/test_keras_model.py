"""External Keras models, adapted: grey 0..1 in, logits out, labels in our order."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgefer.preprocess import Preprocess
from edgefer_convert.formats.tflite import float_tensors
from edgefer_convert.importers.external_model import import_model
from edgefer_convert.importers.run import source_of_run
from edgefer_train.data.dataset import Dataset
from edgefer_train.quantization.quantize import with_fake_quantization
from edgefer_train.run import save_model
from support.runs import write_run

layers = keras.layers
ORDER = [2, 0, 1]
FACES = np.random.default_rng(1).integers(0, 256, (5, 16, 16), np.uint8)


def dense(image: Any) -> Any:
    return layers.Dense(3, activation="softmax")(layers.Flatten()(image))


def nested(image: Any) -> Any:
    inside = layers.Input(image.shape[1:])
    return keras.Model(inside, dense(inside))(image)


def softmax_apart(image: Any) -> Any:
    return layers.Softmax()(layers.Dense(3)(layers.Flatten()(image)))


def pooled_map(image: Any) -> Any:
    return layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image))


def written(model: Any, folder: Path) -> Path:
    with warnings.catch_warnings():
        # Keras warns of its older form.
        warnings.simplefilter("ignore", UserWarning)
        model.save(folder / "model.h5")
    return folder / "model.h5"


@pytest.mark.parametrize("end", [dense, nested, softmax_apart, pooled_map])
def test_outputs_change_places_whatever_the_last_layer_is(end: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    image = layers.Input((16, 16, 1))
    path = written(keras.Model(image, end(image)), tmp_path)
    before = import_model(path).logits(FACES)
    ordered = import_model(path).reordered(ORDER)
    np.testing.assert_allclose(ordered.logits(FACES), before[:, ORDER], rtol=1e-5, atol=1e-6)
    assert not np.allclose(before.sum(-1), 1)


@pytest.mark.parametrize(
    ("pixels", "scale", "offset"), [("0..1", 1, 0), ("-1..1", 2, -1), ("0..255", 255, 0)]
)
def test_colours_and_ranges_of_the_model_become_a_part_of_it(
    pixels: str, scale: float, offset: float, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    image = layers.Input((16, 16, 3))
    model = keras.Model(image, pooled_map(image))
    external = import_model(written(model, tmp_path), pixels)
    grey = Preprocess(size=16).to_float(FACES)
    expected = model(scale * np.repeat(grey, 3, -1) + offset).numpy()
    np.testing.assert_allclose(external.logits(FACES), expected, rtol=1e-4, atol=1e-4)


def test_a_run_with_layers_of_our_own_is_read_and_converted(
    dataset: Dataset, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", dataset)
    image = layers.Input((48, 48, 1), name="picture")
    x = layers.ELU(name="elu")(layers.Conv2D(4, 3, 8, name="conv")(image))
    model = keras.Model(image, layers.Dense(7, name="fer2013")(layers.Flatten(name="flat")(x)))
    save_model(model, run.float.model)
    save_model(with_fake_quantization(model, ["fer2013"]), run.qat.model)
    source = source_of_run(run, "fer2013", ptq=False, images=lambda: FACES.astype(np.float32))
    assert float_tensors(source.converters["int8"]({})) == ()
