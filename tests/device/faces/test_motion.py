"""What moves is seen, and noise is not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.motion import Motion

IMAGE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def first_frame(data: Path) -> Pixels:
    with closing(open_camera(f"file:{data / 'clips/single_face.mp4'}")) as camera:
        return next(iter(camera.frames())).image


def test_the_first_picture_is_new_and_the_same_again_is_not() -> None:
    motion = Motion()
    assert motion.moved(IMAGE)
    assert motion.moved(IMAGE)
    motion.mark()
    assert not motion.moved(IMAGE)


def test_a_sensors_noise_is_no_motion() -> None:
    rng = np.random.default_rng(1)
    calm = np.full((480, 640, 3), 90.0)
    motion = Motion()
    motion.moved(np.asarray(calm, np.uint8))
    motion.mark()
    for _ in range(5):
        noisy = np.clip(calm + rng.normal(0, 12, calm.shape), 0, 255).astype(np.uint8)
        assert not motion.moved(noisy)


def test_a_head_that_moves_by_a_tenth_of_its_width_is_motion(data: Path) -> None:
    image = first_frame(data)
    motion = Motion()
    motion.moved(image)
    motion.mark()
    assert motion.moved(np.roll(image, 20, axis=1))


def test_it_adds_up_until_it_is_marked() -> None:
    motion = Motion()
    motion.moved(np.full((48, 64, 3), 100, np.uint8))
    motion.mark()
    seen = [motion.moved(np.full((48, 64, 3), 100 + level, np.uint8)) for level in range(10)]
    assert seen == [False] * 8 + [True] * 2


def moved(before: Pixels, after: Pixels, *faces: Box) -> bool:
    motion = Motion()
    motion.moved(before)
    motion.mark()
    return motion.moved(after, faces)


@pytest.mark.parametrize("light", [1.0, 0.1])
def test_known_faces_are_followed_when_they_move_in_any_light(data: Path, light: float) -> None:
    image = first_frame(data)
    rng = np.random.default_rng(0)

    def lit(image: Pixels) -> Pixels:
        return np.clip(light * image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)

    face, wall = Box(193, 93, 194, 194), Box(520, 20, 60, 60)
    turned = np.roll(image, 20, axis=1)
    assert moved(lit(image), lit(turned), face)
    assert moved(lit(image), lit(turned), wall, face)
    assert not moved(lit(image), lit(image), face)
    elsewhere = image.copy()
    elsewhere[300:, 500:] = 255 - elsewhere[300:, 500:]
    assert moved(image, elsewhere)
    assert not moved(lit(image), lit(elsewhere), face)


def test_a_face_outside_the_picture_is_no_error() -> None:
    for face in (Box(-90, -90, 40, 40), Box(700, 500, 40, 40), Box(639, 479, 1, 1)):
        assert not moved(IMAGE, IMAGE, face)
