"""The stages as functions, for notebooks and programs: `edgefer.load`, `train`, `convert`.

They do what the verbs of the command do, raise the errors that those print, and return what was
made. Stages are found as `cli.py` finds them: when they are called.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from edgefer.bundle import Bundle
from edgefer.messages import Prediction
from edgefer.preprocess import Pixels
from edgefer.settings import to_toml

OPEN = "edgefer_device.predict.model:BundleModel"
TRAIN = "edgefer_train.training:train_and_quantize"
CONVERT = "edgefer_convert.conversion:convert_folder"


class Model(Protocol):
    """A model that reads images."""

    labels: tuple[str, ...]

    def predict(self, image: str | Path | Pixels, *, cropped: bool = False) -> Prediction:
        """Return the faces of an image file, or of BGR or grey pixels uint8 (H, W[, 3]).

        `cropped`: the image is one face, as FER2013's are. Raises `ImageError`.
        """
        ...


def load(
    model: str | Path = "small", *, labels: str = "both", detector: str | None = None
) -> Model:
    """Open a model bundle by its path or shipped name, and a face detector.

    Raises `BundleError`, and `SettingsError` for labels or a detector that there is not.
    """
    opened: Model = _stage(OPEN)(str(model), labels, detector)
    return opened


def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Path | None = None,
    start: str | Path | None = None,
    epochs: float | None = None,
    resume: bool = False,
    **changes: object,
) -> Path:
    """Train a float model into the folder `out` and quantize it; return the folder.

    `start` is the `--from` of the command; `changes` are keys of the recipe, with two underscores
    for the dot: `labels="folders"`, `fit__batch_size=32`. Raises `SettingsError`, `DatasetError`
    and `RunError`.
    """
    named = {"name": recipe and str(recipe), "start": start and str(start), "epochs": epochs}
    sets = tuple(f"{key.replace('__', '.')}={to_toml(value)}" for key, value in changes.items())
    _stage(TRAIN)(Path(data), Path(out), resume, changes=sets, **named)
    return Path(out)


def convert(
    run: str | Path, out: str | Path, *, data: str | Path, labels: str | None = None
) -> Bundle:
    """Convert a run's folder to a bundle at `out`; return it, its gate's verdict in the manifest.

    Raises `GateFailed`, whose `verdict` has every check, and what `train` raises.
    """
    bundle: Bundle = _stage(CONVERT)(Path(run), Path(data), Path(out), labels)
    return bundle


def _stage(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
