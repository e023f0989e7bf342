"""Draw docs/augmentation.png: each camera degradation on the demo portrait's face.

python tools/augmentation_sheet.py docs/augmentation.png
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import cv2
import numpy as np
import tensorflow as tf

from edgefer_train.fitting.augment import Draw
from edgefer_train.fitting.degrade import degrade
from edgefer_train.recipe import Augment

KINDS = ("gamma", "occlusion", "blur", "low_resolution", "noise", "jpeg")
COUNT, LEFT = 10, 150
FACE = slice(66, 206), slice(150, 290)
"""Rows and columns of the face in astronaut.png."""


def face() -> np.ndarray:
    """Return the portrait's face as float32 (48, 48, 1) in 0..1."""
    found = importlib.util.find_spec("skimage")
    assert found is not None and found.submodule_search_locations, "install device/assets.txt"
    portrait = Path(found.submodule_search_locations[0]) / "data" / "astronaut.png"
    grey = cv2.imread(str(portrait), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    crop = cv2.resize(grey[FACE], (48, 48), interpolation=cv2.INTER_AREA)
    return crop[..., np.newaxis].astype(np.float32) / 255


def row(crops: np.ndarray, name: str) -> np.ndarray:
    """Return a row of crops (N, 48, 48, 1), enlarged, with its name before it."""
    padded = np.pad(crops[..., 0], ((0, 0), (2, 2), (2, 2)), constant_values=1)
    grey = (np.concatenate(list(padded), 1) * 255).clip(0, 255).astype(np.uint8)
    enlarged = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    label = np.full((len(enlarged), LEFT), 255, np.uint8)
    cv2.putText(label, name, (8, 58), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 60, 1, cv2.LINE_AA)
    return np.concatenate([label, enlarged], 1)


def main(out: str) -> None:
    """Write the sheet."""
    crops = tf.constant(np.repeat(face()[np.newaxis], COUNT, 0))
    rows = [row(crops.numpy(), "none")]
    for kind in KINDS:
        seed, places = tf.constant([1, 4], tf.int64), tf.range(COUNT, dtype=tf.int64)
        how = Augment(**{kind: 1.0})  # type: ignore[arg-type]  # each of KINDS is a float field
        degraded = degrade(crops, how, Draw(seed, COUNT, places)).numpy()
        rows.append(row(degraded, kind.replace("_", " ")))
    cv2.imwrite(out, np.concatenate(rows))


if __name__ == "__main__":
    main(sys.argv[1])
