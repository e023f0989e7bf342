"""What moves is seen, and noise is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.motion import Motion

IMAGE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


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
    camera = open_camera(f"file:{data / 'clips/single_face.mp4'}")
    image = next(iter(camera.frames())).image
    camera.close()
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
