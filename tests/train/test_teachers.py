from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from edgefer.bundle import open_bundle
from edgefer.errors import RunError
from edgefer.metrics import softmax
from edgefer.runtime import open_classifier
from edgefer_train.fitting.teachers import Teachers, blend, load_teachers
from edgefer_train.recipe import Distill

OWN = np.array([[1, 0], [0, 1]], np.float32)


def classifier(logits: list[float], head: str = "fer2013", side: int = 4) -> Any:
    """A model that gives the same logits for every image."""
    image = keras.layers.Input((side, side, 1))
    answer = keras.layers.Dense(
        len(logits),
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(logits),
        name=head,
    )(keras.layers.Flatten()(image))
    return keras.Model(image, answer)


def test_a_net_classifies_the_image_and_gets_its_share() -> None:
    teachers = Teachers((classifier([np.log(3.0), 0.0]),), weight=0.4)
    targets = teachers.scale_own({"fer2013": OWN})
    blended = teachers(tf.zeros((2, 4, 4, 1)), {k: tf.constant(v) for k, v in targets.items()})
    expected = 0.6 * OWN + 0.4 * np.array([0.75, 0.25])
    assert blended["fer2013"].numpy() == pytest.approx(expected, abs=1e-6)


def test_smaller_images_are_resized_to_the_teachers_side() -> None:
    teachers = Teachers((classifier([0.0, 0.0], side=8),), weight=1.0)
    blended = teachers(tf.zeros((2, 4, 4, 1)), {"fer2013": tf.zeros((2, 2))})
    assert blended["fer2013"].numpy() == pytest.approx(np.full((2, 2), 0.5))


def test_a_head_that_no_teacher_has_keeps_its_own_targets() -> None:
    teachers = Teachers((classifier([1.0, 0.0], head="other"),), weight=0.5)
    assert (teachers.scale_own({"fer2013": OWN})["fer2013"] == OWN).all()


def test_two_teachers_are_averaged() -> None:
    teachers = Teachers((classifier([np.log(3.0), 0.0]), classifier([0.0, 0.0])), weight=1.0)
    blended = teachers(tf.zeros((2, 4, 4, 1)), {"fer2013": tf.zeros((2, 2))})
    assert blended["fer2013"].numpy() == pytest.approx(np.array([[0.625, 0.375]] * 2), abs=1e-6)


def test_a_temperature_softens_the_probabilities() -> None:
    teachers = Teachers((classifier([4.0, 0.0]),), weight=1.0, temperature=4.0)
    blended = teachers(tf.zeros((1, 4, 4, 1)), {"fer2013": tf.zeros((1, 2))})
    assert blended["fer2013"].numpy()[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_known_logits_are_blended_into_targets_by_their_weight() -> None:
    logits = {"fer2013": np.array([[0.0, 0.0], [50.0, 0.0]], np.float32)}
    (blended,) = blend({"fer2013": OWN}, logits, 0.5).values()
    assert blended == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5]]), abs=1e-6)


def test_a_folder_that_holds_no_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no teacher here"):
        load_teachers(Distill(teachers=(str(tmp_path),)))


def test_a_bundle_teaches_by_the_file_that_a_device_runs() -> None:
    teachers = load_teachers(Distill(teachers=("small",), weight=1.0))
    assert teachers is not None
    crops = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    expected = softmax(open_classifier(open_bundle("small")).logits(crops)[:, :7])
    images = tf.data.Dataset.from_tensors(tf.constant(crops[..., np.newaxis] / np.float32(255)))
    (learnt,) = images.map(lambda seen: teachers(seen, {"fer2013": tf.zeros((3, 7))}))
    assert learnt["fer2013"].numpy() == pytest.approx(expected, abs=1e-6)


def test_what_is_no_teacher_is_refused_in_a_line() -> None:
    with pytest.raises(RunError, match="no teacher here; name a run's folder or a model bundle"):
        load_teachers(Distill(teachers=("runs/nowhere",)))


def test_without_teachers_there_are_none() -> None:
    assert load_teachers(Distill()) is None
