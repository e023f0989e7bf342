from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgefer.bundle import open_bundle
from edgefer.errors import RunError, SettingsError
from edgefer.labels import FER2013, FERPLUS
from edgefer.preprocess import Preprocess
from edgefer.runtime import open_classifier
from edgefer_train.architectures import build
from edgefer_train.fitting.initial_weights import build_model, load_bundle_weights
from edgefer_train.recipe import Recipe
from support.heads import split_logits
from support.slices import write_slice

HEADS = {"fer2013": FER2013, "ferplus": FERPLUS}
SEVEN = {"fer2013": FER2013}
MINE = {"mine": ("a", "b", "c")}


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 64, 1, 1)
    with np.load(path) as arrays:
        return np.asarray(arrays["images"][:64])


def logits(model: Any, faces: np.ndarray) -> dict[str, np.ndarray]:
    outputs = model.predict(Preprocess().to_float(faces), verbose=0)
    return outputs if isinstance(outputs, dict) else {model.output_names[0]: outputs}


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_a_model_from_a_bundle_gives_what_its_onnx_file_gives(name: str, faces: Any) -> None:
    bundle = open_bundle(name)
    expected = split_logits(bundle.manifest.heads, open_classifier(bundle, "onnx").logits(faces))
    for images in (None, faces):
        found = logits(build_model(Recipe(name, weights=name), HEADS, 48, images), faces)
        for head, values in expected.items():
            assert np.abs(found[head] - values).max() < 1e-4


def test_heads_of_other_labels_keep_their_own_weights() -> None:
    keras.utils.set_random_seed(1)
    # As many labels as the bundle's, by other names.
    heads = {"folders": ("a", "b", "c"), "fer2013": FER2013[::-1]}
    fresh, learned = (build("tiny", {name: len(its) for name, its in heads.items()}) for _ in "ab")
    learned.set_weights(fresh.get_weights())
    load_bundle_weights(learned, open_bundle("tiny"), heads)
    for name, same in (("stem", False), ("folders", True), ("fer2013", True)):
        before, after = (model.get_layer(name).get_weights()[0] for model in (fresh, learned))
        assert np.array_equal(before, after) == same, name


def test_a_step_of_training_starts_from_what_the_bundle_knows(faces: np.ndarray) -> None:
    bundle = open_bundle("small")
    model = build_model(Recipe("small", weights="small"), SEVEN, 48, faces)
    expected = open_classifier(bundle, "onnx").logits(faces)[:, :7].argmax(-1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    in_training = model(Preprocess().to_float(faces), training=True).numpy().argmax(-1)
    assert (in_training == expected).mean() > 0.95


def test_a_head_of_other_labels_keeps_its_own_initialization() -> None:
    keras.utils.set_random_seed(1)
    fresh = build_model(Recipe("small"), MINE, 48)
    before = fresh.get_layer("mine").get_weights()
    load_bundle_weights(fresh, open_bundle("small"), MINE)
    for old, new in zip(before, fresh.get_layer("mine").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_bundle_of_another_architecture_is_refused_in_one_line() -> None:
    with pytest.raises(RunError, match="holds tiny, the recipe needs small") as refused:
        build_model(Recipe("small", weights="tiny"), HEADS, 48)
    assert "\n" not in str(refused.value)


def test_a_bundle_without_float_weights_is_refused_in_one_line() -> None:
    bundle = open_bundle("small")
    del bundle.manifest.files["onnx"]
    model = build_model(Recipe("small"), SEVEN, 48)
    with pytest.raises(RunError, match=r"has no float weights \(onnx\)") as refused:
        load_bundle_weights(model, bundle, SEVEN)
    assert "\n" not in str(refused.value)


def test_weights_of_no_run_and_no_bundle_are_refused() -> None:
    with pytest.raises(SettingsError, match="small has no base for `weights` 'smal', no run"):
        build_model(Recipe("small", weights="smal"), HEADS, 48)
    with pytest.raises(SettingsError, match="imagenet, smal: no run and no bundle; at most one"):
        build_model(Recipe("vgg16", weights=("imagenet", "smal")), HEADS, 48)
