"""A training recipe: its defaults, and reading one that holds only its differences."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec

from edgefer.errors import SettingsError
from edgefer.settings import parse, read_toml


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The float training."""

    epochs: int = 60
    batch_size: int = 128
    learning_rate: float = 0.05
    """Of SGD with Nesterov momentum 0.9, after warm-up; falls to 0 along a cosine."""
    warmup_epochs: float = 0.5
    weight_decay: float = 5e-4
    label_smoothing: float = 0.05
    votes_weight: float = 1.0
    """Weight of a second head that learns FER+ votes; ignored where there are none."""
    average: float = 0.99
    """Momentum of the moving average of weights, which is what is kept; 0 is none."""
    xla: bool = True
    """Compile the step: on a CPU faster for plain convolutions, far slower for depthwise."""


class Augment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each training picture is changed, drawn anew each time; 0 is never."""

    flip: bool = True
    rotation: float = 10.0
    """Degrees, either way."""
    zoom: float = 0.1
    """Share of the size, either way."""
    shift: float = 4.0
    """Pixels, either way, each axis."""
    shear: float = 0.0
    """Share of the height, either way."""
    brightness: float = 0.1
    """Share of the full range, either way."""
    contrast: float = 0.2
    """Share of the contrast, either way."""
    erasing: float = 0.0
    """Probability that a square of the picture is lost."""


class FineTune(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quantization-aware fine-tuning of the float model."""

    epochs: int = 4
    learning_rate: float = 0.003


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that decides a training, next to the data."""

    architecture: str
    labels: str = "fer2013"
    seed: int = 1
    fit: Fit = Fit()
    augment: Augment = Augment()
    quantize: FineTune = FineTune()


def recipes() -> list[str]:
    """Return the names of the recipes that ship."""
    folder = resources.files("edgefer_train") / "recipes"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """Return a shipped recipe by its name or any by its file; raise `SettingsError`."""
    path = Path(name)
    if path.suffix != ".toml":
        if name not in recipes():
            raise SettingsError(f"unknown recipe '{name}'; known: {', '.join(recipes())}")
        path = Path(str(resources.files("edgefer_train") / "recipes" / f"{name}.toml"))
    return parse(read_toml(path), Recipe, str(path))
