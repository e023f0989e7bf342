"""The three ways that a face takes to a model must end in the same numbers."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edgefer.messages import Box
from edgefer.preprocess import PIXEL, Pixels, Preprocess
from edgefer_device.faces.quality import lightened
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_train.data import sources
from edgefer_train.data.dataset import Usage
from edgefer_train.fitting.batches import batches, unaugmented
from edgefer_train.recipe import Augment
from support.bundles import manifest
from support.scripted import ScriptedClassifier

COUNT = 64
STILL = Augment(flip=False, rotation=0, zoom=0, shift=0, brightness=0, contrast=0)


def test_training_evaluation_and_device_see_real_faces_alike_to_the_bit(data: Path) -> None:
    faces = sources.load(data).part(Usage.Training).take(slice(0, COUNT))
    rows = {"row": np.eye(COUNT, dtype=np.float32)}
    (trained, order), *_ = islice(batches(faces, rows, STILL, COUNT, seed=1), 1)
    (evaluated, _), *_ = unaugmented(faces, rows)
    seen = np.stack([on_the_device(image) for image in faces.images])

    in_order = trained.numpy()[order.numpy().argmax(1).argsort()]
    assert (in_order == evaluated.numpy()).all()
    # The device stretches faces of little contrast, which a dataset's good light has few of.
    lit = np.stack([lightened(image) for image in faces.images])
    assert (seen == lit).all()
    plain = (lit == faces.images).all((1, 2))
    assert plain.mean() > 0.9
    read = PIXEL.dequantize(Preprocess().to_int8(seen, PIXEL))
    assert (read[plain] == evaluated.numpy()[plain]).all()


def on_the_device(image: Pixels) -> Pixels:
    """The crop that the device takes of a face in a larger scene."""
    scene = np.zeros((480, 640, 3), np.uint8)
    scene[100:148, 200:248] = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    classifier = ScriptedClassifier([(1.0,) * 7])
    reader = FaceClassifier(classifier, manifest(), manifest().decoder())
    reader.read(reader.crop(scene, [Box(200, 100, 48, 48)]))
    return np.asarray(classifier.crops[-1][0])
