"""Distillation: the probabilities of trained models, blended into the targets of a batch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from edgefer.bundle import Bundle, open_bundle
from edgefer.errors import BundleMissing, RunError
from edgefer.metrics import Logits, softmax
from edgefer.preprocess import PIXEL
from edgefer.runtime import choose, open_classifier
from edgefer_train.architectures import Tensor
from edgefer_train.fitting.batches import Targets
from edgefer_train.recipe import Distill
from edgefer_train.run import run_at


@dataclass(frozen=True)
class Teachers:
    """Models that classify each training image as the student sees it.

    A head's targets become (1 - weight) of their own and `weight` of the mean of all
    teachers that have this head. Source: Hinton et al. 2015; that a teacher should classify
    the augmented image itself, Beyer et al. 2022.
    """

    models: tuple[Any, ...]
    """Keras models from images to logits by head, a dict of several or one tensor, and
    bundles that act as these do (`BundleTeacher`)."""
    weight: float = 0.5
    temperature: float = 1.0

    def share(self, head: str) -> float:
        """Return the weight of each single teacher in a head's targets; 0 without one."""
        count = sum(head in model.output_names for model in self.models)
        return self.weight / count if count else 0.0

    def scale_own(self, targets: Targets) -> Targets:
        """Return the targets (n Training, labels) scaled by what the teachers leave of them."""
        return {
            head: np.asarray((1 - self.weight) * own, np.float32) if self.share(head) else own
            for head, own in targets.items()
        }

    def __call__(self, images: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add the models' probabilities for images (B, S, S, 1) to a batch's targets, in graph."""
        blended = dict(targets)
        for model in self.models:
            side = model.input_shape[1]
            same = images.shape[1] == side
            seen = images if same else tf.image.resize(images, (side, side))
            outputs = model(seen, training=False)
            by_head = outputs if isinstance(outputs, dict) else {model.output_names[0]: outputs}
            for head in blended.keys() & by_head.keys():
                probabilities = tf.nn.softmax(by_head[head] / self.temperature)
                blended[head] += self.share(head) * probabilities
        return blended


def blend(targets: Targets, logits: Mapping[str, np.ndarray], weight: float) -> Targets:
    """Return targets (N, labels) by head with `weight` of the probabilities of logits in them."""
    return {
        head: np.asarray((1 - weight) * own + weight * softmax(logits[head], 1.0), np.float32)
        for head, own in targets.items()
    }


class BundleTeacher:
    """A bundle's model in the place of a Keras one, run from the file that a device runs.

    Its heads have the names of their label sets. Images are rounded to the grey levels that
    a device would see.
    """

    def __init__(self, bundle: Bundle) -> None:
        side = bundle.manifest.input.preprocess.size
        self.input_shape = (None, side, side, 1)
        self._heads = bundle.manifest.heads_of(choose(bundle))
        self.output_names = [head.label_set for head in self._heads]
        self._classifier = open_classifier(bundle)
        # An interpreter has one set of tensors, and tf.data calls from several threads.
        self._lock = threading.Lock()

    def __call__(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Return logits (B, labels) by head of images (B, side, side, 1) in 0..1, in the graph."""
        sizes = [len(head.labels) for head in self._heads]
        logits = tf.numpy_function(self._logits, [images], tf.float32)
        logits = tf.ensure_shape(logits, (images.shape[0], sum(sizes)))
        return dict(zip(self.output_names, tf.split(logits, sizes, axis=1), strict=True))

    def _logits(self, images: np.ndarray) -> Logits:
        crops = np.rint(images[..., 0] / PIXEL.scale).clip(0, 255).astype(np.uint8)
        with self._lock:
            return self._classifier.logits(crops)


def load_teachers(how: Distill) -> Teachers | None:
    """Return the teachers that a recipe names, or None; raise `RunError` for what is none.

    A teacher is the folder of a finished run, or a model bundle by its path or shipped name.
    """
    if not how.teachers:
        return None
    return Teachers(tuple(map(_model, how.teachers)), how.weight, how.temperature)


def _model(name: str) -> Any:
    run = run_at(name)
    if run is not None:
        model = keras.models.load_model(run.model(run.float), compile=False)
        model.trainable = False
        return model
    try:
        return BundleTeacher(open_bundle(name))
    except BundleMissing as exc:
        raise RunError(f"{name}: no teacher here; name a run's folder or a model bundle") from exc
