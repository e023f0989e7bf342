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
from edgefer_train.data.dataset import Faces
from edgefer_train.fitting.teachers import Teachers, load_teachers
from edgefer_train.recipe import Distill

OWN = np.array([[1, 0], [0, 1]], np.float32)


def says(logits: list[float], head: str = "fer2013", side: int = 4) -> Any:
    """A net that gives the same logits to every image."""
    image = keras.layers.Input((side, side, 1))
    answer = keras.layers.Dense(
        len(logits),
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(logits),
        name=head,
    )(keras.layers.Flatten()(image))
    return keras.Model(image, answer)


def test_a_net_is_asked_about_the_picture_and_gets_its_share() -> None:
    teachers = Teachers((says([np.log(3.0), 0.0]),), weight=0.4)
    targets = teachers.before({"fer2013": OWN})
    blended = teachers(tf.zeros((2, 4, 4, 1)), {k: tf.constant(v) for k, v in targets.items()})
    expected = 0.6 * OWN + 0.4 * np.array([0.75, 0.25])
    assert blended["fer2013"].numpy() == pytest.approx(expected, abs=1e-6)


def test_smaller_pictures_are_brought_to_the_teachers_side() -> None:
    teachers = Teachers((says([0.0, 0.0], side=8),), weight=1.0)
    blended = teachers(tf.zeros((2, 4, 4, 1)), {"fer2013": tf.zeros((2, 2))})
    assert blended["fer2013"].numpy() == pytest.approx(np.full((2, 2), 0.5))


def test_nets_and_saved_answers_are_averaged() -> None:
    saved = {"fer2013": np.array([[0.0, 0.0], [50.0, 0.0]], np.float32)}
    teachers = Teachers((says([np.log(3.0), 0.0]),), (saved,), weight=0.5)
    targets = teachers.before({"fer2013": OWN})
    blended = teachers(tf.zeros((2, 4, 4, 1)), {k: tf.constant(v) for k, v in targets.items()})
    mean = (np.array([[0.5, 0.5], [1, 0]]) + np.array([0.75, 0.25])) / 2
    assert blended["fer2013"].numpy() == pytest.approx(0.5 * OWN + 0.5 * mean, abs=1e-6)


def test_a_head_that_no_teacher_has_keeps_its_own_targets() -> None:
    teachers = Teachers((says([1.0, 0.0], head="other"),), weight=0.5)
    assert (teachers.before({"fer2013": OWN})["fer2013"] == OWN).all()


def test_a_temperature_softens_the_answers() -> None:
    teachers = Teachers((), ({"fer2013": np.array([[4.0, 0.0]], np.float32)},), 1.0, 4.0)
    (target,) = teachers.before({"fer2013": OWN[:1]})["fer2013"]
    assert target[0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_logits_of_other_pictures_are_refused(tmp_path: Path) -> None:
    faces = Faces(np.zeros((3, 48, 48), np.uint8), np.zeros(3, np.int8), None)
    np.savez(tmp_path / "logits.npz", fer2013=np.zeros((2, 7), np.float32))
    with pytest.raises(RunError, match=r"'fer2013' must be logits of the 3 Training images"):
        load_teachers(Distill(teachers=(str(tmp_path / "logits.npz"),)), faces)


def test_what_is_no_npz_or_no_run_is_refused(tmp_path: Path) -> None:
    faces = Faces(np.zeros((3, 48, 48), np.uint8), np.zeros(3, np.int8), None)
    (tmp_path / "no.npz").write_bytes(b"not a zip")
    with pytest.raises(RunError, match=r"no\.npz: no teacher's logits"):
        load_teachers(Distill(teachers=(str(tmp_path / "no.npz"),)), faces)
    with pytest.raises(RunError, match="no teacher here"):
        load_teachers(Distill(teachers=(str(tmp_path),)), faces)


def test_a_bundle_teaches_by_the_file_that_a_device_runs() -> None:
    faces = Faces(np.zeros((1, 48, 48), np.uint8), np.zeros(1, np.int8), None)
    teachers = load_teachers(Distill(teachers=("small",), weight=1.0), faces)
    assert teachers is not None
    chips = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    said = softmax(open_classifier(open_bundle("small")).logits(chips))
    images = tf.data.Dataset.from_tensors(tf.constant(chips[..., np.newaxis] / np.float32(255)))
    (learnt,) = images.map(lambda seen: teachers(seen, {"fer2013": tf.zeros((3, 7))}))
    assert learnt["fer2013"].numpy() == pytest.approx(said, abs=1e-6)


def test_what_is_no_teacher_is_refused_in_a_line() -> None:
    faces = Faces(np.zeros((1, 48, 48), np.uint8), np.zeros(1, np.int8), None)
    with pytest.raises(RunError, match="no teacher here; name a run's folder, a model bundle"):
        load_teachers(Distill(teachers=("runs/nowhere",)), faces)


def test_without_teachers_there_are_none() -> None:
    faces = Faces(np.zeros((1, 48, 48), np.uint8), np.zeros(1, np.int8), None)
    assert load_teachers(Distill(), faces) is None
