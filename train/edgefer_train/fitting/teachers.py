"""Learning from the answers of trained nets: their probabilities, blended into the targets."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from edgefer.bundle import Bundle, open_bundle
from edgefer.errors import BundleMissing, RunError
from edgefer.metrics import Logits, softmax
from edgefer.preprocess import PIXEL
from edgefer.runtime import open_classifier
from edgefer_train.data.dataset import Dataset, Faces, Usage
from edgefer_train.fitting.batches import Targets
from edgefer_train.fitting.calibration import predict
from edgefer_train.recipe import Distill
from edgefer_train.run import Run, save_arrays

Tensor = Any
"""A `tf.Tensor`; TensorFlow ships no types."""


@dataclass(frozen=True)
class Teachers:
    """Nets that answer each training image as the student sees it, and saved answers.

    A head's targets become (1 - weight) of their own and `weight` of the mean of all
    teachers that have this head. Source: Hinton et al. 2015; that a teacher should answer
    the augmented image itself, Beyer et al. 2022.
    """

    models: tuple[Any, ...]
    """Keras models from images to logits by head, a dict of several or one tensor, and
    bundles that answer as these do (`BundleTeacher`)."""
    saved: tuple[Mapping[str, np.ndarray], ...] = ()
    """Logits (n Training, labels) by head."""
    weight: float = 0.5
    temperature: float = 1.0

    def share(self, head: str) -> float:
        """Return the weight of each single teacher in a head's targets; 0 without one."""
        count = sum(head in one for one in self.saved)
        count += sum(head in model.output_names for model in self.models)
        return self.weight / count if count else 0.0

    def before(self, targets: Targets) -> Targets:
        """Return the targets (n Training, labels) with the saved answers blended in."""
        return {head: self._before(head, own) for head, own in targets.items()}

    def _before(self, head: str, own: np.ndarray) -> np.ndarray:
        share = self.share(head)
        if not share:
            return own
        said = [softmax(one[head], self.temperature) for one in self.saved if head in one]
        return np.asarray((1 - self.weight) * own + share * np.sum(said, 0), np.float32)

    def __call__(self, images: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add what the nets say of images (B, S, S, 1) to the batch's targets, in the graph."""
        blended = dict(targets)
        for model in self.models:
            side = model.input_shape[1]
            seen = images if images.shape[1] == side else tf.image.resize(images, (side, side))
            said = by_head(model, model(seen, training=False))
            for head in blended.keys() & said.keys():
                answer = tf.nn.softmax(said[head] / self.temperature)
                blended[head] += self.share(head) * answer
        return blended


class BundleTeacher:
    """A bundle's model in the place of a Keras one: it answers by the file that a device runs.

    Its one head has the name of its label set. Images are rounded to the grey levels that
    a device would see.
    """

    def __init__(self, bundle: Bundle) -> None:
        side = bundle.manifest.input.preprocess.size
        self.input_shape = (None, side, side, 1)
        self.output_names = [bundle.manifest.label_set]
        self._labels = len(bundle.manifest.labels)
        self._classifier = open_classifier(bundle)
        # An interpreter has one set of tensors, and tf.data asks from several threads.
        self._free = threading.Lock()

    def __call__(self, images: Tensor, training: bool = False) -> Tensor:
        """Return logits (B, labels) of images (B, side, side, 1) in 0..1, in the graph."""
        said = tf.numpy_function(self._logits, [images], tf.float32)
        return tf.ensure_shape(said, (images.shape[0], self._labels))

    def _logits(self, images: np.ndarray) -> Logits:
        chips = np.rint(images[..., 0] / PIXEL.scale).clip(0, 255).astype(np.uint8)
        with self._free:
            return self._classifier.logits(chips)


def by_head(model: Any, outputs: Any) -> dict[str, Any]:
    """Return a model's outputs as a dict by head, also where it has one."""
    return outputs if isinstance(outputs, dict) else {model.output_names[0]: outputs}


def load_teachers(how: Distill, training: Faces) -> Teachers | None:
    """Return the teachers that a recipe names, or None; raise `RunError` for one unfit to teach.

    A teacher is the folder of a finished run, a model bundle by its path or a shipped one's
    name, or an .npz file of logits on Training.
    """
    if not how.teachers:
        return None
    paths = [Path(name) for name in how.teachers]
    saved = tuple(_saved(path, len(training)) for path in paths if path.suffix == ".npz")
    models = tuple(_model(path) for path in paths if path.suffix != ".npz")
    return Teachers(models, saved, how.weight, how.temperature)


def _model(path: Path) -> Any:
    run = Run(path)
    if not run.record_file.exists():
        return _bundle_net(path)
    model = keras.models.load_model(run.model(run.float), compile=False)
    model.trainable = False
    return model


def _bundle_net(path: Path) -> BundleTeacher:
    try:
        return BundleTeacher(open_bundle(path))
    except BundleMissing as exc:
        raise RunError(
            f"{path}: no teacher here; name a run's folder, a model bundle or an .npz of logits"
        ) from exc


def _saved(path: Path, count: int) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            logits = {head: np.asarray(arrays[head], np.float32) for head in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise RunError(f"{path}: no teacher's logits: {exc}") from exc
    for head, values in logits.items():
        if values.ndim != 2 or len(values) != count:
            raise RunError(
                f"{path}: '{head}' must be logits of the {count} Training images, one row "
                f"each, got {values.shape}; save them with: edgefer logits --run RUN --out FILE"
            )
    return logits


def save_logits(run: Run, dataset: Dataset, path: Path) -> None:
    """Write the float model's logits on Training, an array (N, labels) a head, as .npz.

    Raises `RunError` without a finished float model and `DatasetError` when `dataset` is
    not the one that the run was trained on.
    """
    model = keras.models.load_model(run.model(run.float), compile=False)
    run.require_data(dataset)
    save_arrays(path, predict(model, dataset.part(Usage.Training)))
