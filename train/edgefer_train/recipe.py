"""A training recipe: its defaults, and reading one that holds only its differences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgefer.errors import SettingsError
from edgefer.gate_limits import GateLimits
from edgefer.settings import Problem, parse, problems, read_toml, sound_part, to_toml
from edgefer.text_files import read_text

VOTES = "ferplus"
"""Name of the second head, which learns FER+ votes."""

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
CountOrNone = Annotated[int, Meta(ge=0, le=1_000_000)]
Side = Annotated[int, Meta(ge=16, le=512)]
Rate = Annotated[float, Meta(gt=0, le=10)]
Share = Annotated[float, Meta(ge=0, le=1)]
PartShare = Annotated[float, Meta(ge=0, lt=1)]
Amount = Annotated[float, Meta(ge=0, le=1000)]


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The float training."""

    epochs: Count = 60
    epoch_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Of Training's images that an epoch shows; the next epoch continues with the others."""
    checkpoint_minutes: Amount = 10.0
    """After which a long epoch is saved before its end; every epoch is at its end."""
    batch_size: Count = 128
    learning_rate: Rate = 0.05
    """After warm-up."""
    optimizer: Literal["sgd", "adam", "nadam"] = "sgd"
    """SGD is with Nesterov momentum 0.9."""
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    """The rate falls to 0 along a cosine, or by `plateau_factor` after `plateau_patience`
    epochs that did no better on PublicTest, or not at all."""
    monitor: Literal["accuracy", "loss"] = "accuracy"
    """Of PublicTest: what plateau and early stopping go by. The epoch kept is the most accurate."""
    min_delta: Share = 0.0
    """By which an epoch must be better than the best before, to count as such."""
    plateau_patience: Count = 5
    plateau_factor: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    early_stopping: CountOrNone = 0
    """End after this many epochs that did no better on PublicTest; 0 is never."""
    warmup_epochs: Amount = 0.5
    weight_decay: Share = 5e-4
    balance: Literal[
        "none",
        "oversample",
        "undersample",
        "both",
        "class_weights",
        "batches",
        "logit_adjustment",
    ] = "none"
    """Against imbalance: repeat faces of the rarer labels, leave out some of the others, or both
    towards the mean; weigh the loss; draw each label equally often into each batch; or shift the
    logits by the labels' frequency in training alone (Menon et al. 2021)."""
    dropout: PartShare | None = None
    """Of every dropout layer, instead of the network's own."""
    label_smoothing: PartShare = 0.05
    votes_weight: Amount = 1.0
    """Weight of a second head that learns FER+ votes; ignored where there are none."""
    soft_labels: bool = True
    """Learn FER+ votes as a distribution; otherwise the label with the most votes."""
    average: PartShare = 0.99
    """Momentum of the moving average of weights, which is what is kept; 0 is none. Until
    1 / (1 - average) steps are done it is less, (1 + steps) / (10 + steps): a short training
    would else keep its random start."""
    xla: bool | Literal["auto"] = "auto"
    """Compile the step with XLA; `auto` where a trial before a long training finds that faster."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the activations in training; weights, logits and averages are float32 in either.
    `auto` is bfloat16 on a processor with AMX, which takes nearly half the time for a step.
    Source: Micikevicius et al. 2018."""
    sizes: tuple[Side, ...] = ()
    """Progressive learning (Tan & Le 2021): the side in pixels of the training images in
    each equal part of the epochs. Empty is the model's own side throughout. Only for nets
    that end in a global pooling, since those take any side."""


class Augment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each training image is changed, drawn anew each time; 0 is never."""

    flip: bool = True
    rotation: Annotated[float, Meta(ge=0, le=180)] = 10.0
    """Degrees, either way."""
    zoom: PartShare = 0.1
    """Share of the size, either way."""
    shift: Amount = 4.0
    """Pixels, either way, each axis."""
    shear: Share = 0.0
    """Share of the height, either way."""
    brightness: Share = 0.1
    """Share of the full range, either way."""
    contrast: Share = 0.2
    """Share of the contrast, either way."""
    erasing: Share = 0.0
    """Probability that a square of the image is lost."""
    gamma: Annotated[float, Meta(ge=0, le=10)] = 0.0
    """The exposure's gamma lies between 1 / (1 + gamma) and 1 + gamma."""
    occlusion: Share = 0.0
    """Probability that one half of the face is covered."""
    blur: Share = 0.0
    """Probability of a blur by defocus or motion."""
    low_resolution: Share = 0.0
    """Probability that the face is taken at a third to nine tenths of the resolution."""
    noise: Share = 0.0
    """Probability of sensor noise."""
    jpeg: Share = 0.0
    """Probability of JPEG compression at a quality between 20 and 90."""
    mixup: Amount = 0.0
    """Two images and their targets are blended by shares from Beta(mixup, mixup)
    (Zhang et al. 2018)."""


class HeadFit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fit of the heads alone, before that of the whole net, whose `weights` it keeps."""

    epochs: CountOrNone = 0
    learning_rate: Rate = 0.05


class FineTune(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quantization-aware fine-tuning of the float model."""

    epochs: Count = 3
    learning_rate: Rate = 0.003
    distill: Share = 1.0
    """Share of the float model's own probabilities in the targets (self-distillation): int8
    is to predict what float predicts, right or wrong. With 0.7 of them `small` kept 97.3 % of its
    labels and lost three of 55 disgusted faces, with 1.0 it kept 98.0 % and lost none."""

    @property
    def followed(self) -> Literal["accuracy", "agreement"]:
        """What chooses the epoch on PublicTest: to be right, or to predict what float does."""
        return "agreement" if self.distill else "accuracy"


class Distill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Learning from the probabilities of larger models (Hinton et al. 2015)."""

    teachers: tuple[str, ...] = ()
    """Run folders, whose float models classify each augmented image (Beyer et al. 2022), or
    model bundles, which do so as int8. Several are averaged."""
    weight: Share = 0.5
    """Share of the teachers' probabilities in the targets."""
    temperature: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """By which the teachers' logits are divided."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that decides a training, next to the data."""

    architecture: str
    labels: str = "fer2013"
    """`fer2013`, `ferplus`, or `folders`: the names of the dataset's own folders."""
    split: Literal["official", "72/8/20"] = "official"
    """The dataset's own parts, or a stratified draw of Training / PublicTest / PrivateTest."""
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 1
    side: Side = 48
    """Of the model's input, pixels."""
    weights: str | tuple[str, ...] = "none"
    """Initial ones: a run's folder or a model bundle of the same architecture, or several, of
    which the first gives the body and each its own head; heads of other labels start anew. For
    the base of a transfer architecture also `imagenet` or a file; or `none`."""
    frozen: bool | PartShare = False
    """Leave the base of a transfer architecture as it is and train only what follows it; of a
    share, as 0.8, the first of its layers alone."""
    top: Count | None = None
    """Units of the dense layer between such a base and the heads; 256 unless named."""
    head: HeadFit = HeadFit()
    fit: Fit = Fit()
    augment: Augment = Augment()
    distill: Distill = Distill()
    quantize: FineTune = FineTune()
    gate: GateLimits = GateLimits()

    def with_epochs(self, epochs: float | None) -> Recipe:
        """Return the recipe with so many epochs of float training; None leaves its own.

        Less than 1 is that share of one. Raises `SettingsError` for a share above 1.
        """
        if epochs is None:
            return self
        if epochs > 1 and epochs != int(epochs):
            raise SettingsError(f"--epochs must be whole, or less than 1, got {epochs:g}")
        share, whole = min(epochs, 1.0), max(1, int(epochs))
        fit = msgspec.structs.replace(self.fit, epochs=whole, epoch_share=share)
        return msgspec.structs.replace(self, fit=fit)


def recipes() -> list[str]:
    """Return the names of the recipes that ship."""
    folder = resources.files("edgefer_train") / "recipes"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml"))


def recipe_text(name: str) -> str:
    """Return a shipped recipe's TOML text; raise `SettingsError` for an unknown name."""
    return read_text(_path(name))


class Listed(msgspec.Struct, frozen=True):
    """A shipped recipe in a list."""

    name: str
    heading: str
    """First sentence of its comment."""


def listed() -> list[Listed]:
    """Return the recipes that ship, with what each says of itself."""
    found = []
    for name in recipes():
        comment = recipe_text(name).partition("\narchitecture =")[0].replace("\n#", "")
        found.append(Listed(name, re.split(r"(?<! al)\.(?: |$)", comment.strip("# "))[0]))
    return found


def load_recipe(name: str) -> Recipe:
    """Return a shipped recipe by its name or any by its file; raise `SettingsError`."""
    path = _path(name)
    return parse(_extended(path), Recipe, str(path))


def examine(name: str) -> tuple[list[Problem], Recipe | None]:
    """Return all that is wrong with a recipe, and the recipe of what is sound, if it is one.

    Raises `SettingsError` for a file that cannot be read or is not TOML.
    """
    table = _extended(_path(name))
    found = list(problems(table, Recipe))
    return found, sound_part(table, Recipe, found)


class Choice(msgspec.Struct, frozen=True):
    """A recipe, and what the command line changes in it."""

    name: str | None = None
    labels: str | None = None
    split: str | None = None
    epochs: float | None = None
    start: str | None = None
    """Run or bundle to start from."""
    changes: tuple[str, ...] = ()
    """`key=value` or `table.key=value`, the value as in TOML; text needs no quotes."""

    def started_from(self, architecture: str, side: int, more: Sequence[str]) -> Choice:
        """Return the choice with the net of `start`, by the recipe `finetune` unless one is named.

        `more` are changes that the user's own go over.
        """
        # Quoted: a folder may be called by a date or a number.
        net = (f"architecture={architecture}", f"side={side}", f"weights={to_toml(self.start)}")
        name, changes = self.name or "finetune", (*net, *more, *self.changes)
        return msgspec.structs.replace(self, name=name, changes=changes)

    def apply(self, base: Recipe | None = None) -> Recipe:
        """Return the recipe, over `base` instead of the named one; raise `SettingsError`."""
        recipe = base or load_recipe(self.name or "small")
        table: dict[str, Any] = msgspec.to_builtins(recipe)
        named = {"labels": self.labels, "split": self.split}
        changes = [(f"--set {text}", _change(text)) for text in self.changes]
        options = [
            (f"--{key}={value}", {key: value}) for key, value in named.items() if value is not None
        ]
        for typed, change in (*changes, *options):
            table = _merged(table, change)
            recipe = parse(table, Recipe, typed)
        return recipe.with_epochs(self.epochs)


def _path(name: str, beside: Path = Path()) -> Path:
    """The file of a shipped recipe's name, or a file that is named from another one's folder."""
    if Path(name).suffix == ".toml":
        return beside / name
    if name not in recipes():
        raise SettingsError(f"unknown recipe '{name}'; known: {', '.join(recipes())}")
    return Path(str(resources.files("edgefer_train") / "recipes" / f"{name}.toml"))


def _extended(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The table in a recipe's file, over the one that it extends."""
    table = read_toml(path)
    base = table.pop("extends", "")
    if base == "":
        return table
    if not isinstance(base, str):
        raise SettingsError(f"{path}: `extends` must be a recipe's name or file, got {base!s:.20}")
    below = _path(base, path.parent)
    if below.resolve() in (one.resolve() for one in (*seen, path)):
        raise SettingsError(f"{path}: extends itself by way of {below}; leave `extends` out")
    return _merged(_extended(below, (*seen, path)), table)


def _merged(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with the values of another one, table by table."""
    merged = dict(table)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _change(text: str) -> dict[str, Any]:
    """The table that `fit.epochs=3` is."""
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise SettingsError(f"--set {text}: expected KEY=VALUE, as fit.batch_size=32")
    try:
        table: Any = msgspec.toml.decode(f"value = {value}")["value"]
    except msgspec.DecodeError:
        table = value.strip()
    for part in reversed(key.strip().split(".")):
        table = {part: table}
    return dict(table)
