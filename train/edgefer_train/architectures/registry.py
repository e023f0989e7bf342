"""The networks, by name, and building one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tf_keras as keras

from edgefer.errors import SettingsError
from edgefer_train.architectures import transfer
from edgefer_train.architectures.blocks import Tensor, layers
from edgefer_train.architectures.heads import dense_head, unwrapped
from edgefer_train.architectures.mobile import mobilenet_v2, mobilenet_v3
from edgefer_train.architectures.plain import custom_cnn, deepfer, elu_cnn
from edgefer_train.architectures.residual import large, small, tiny
from edgefer_train.architectures.transfer import NONE, Base, transferred
from edgefer_train.architectures.xception import map_head, mini_xception
from edgefer_train.data.dataset import SIDE


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a network is made, and where it comes from."""

    body: Callable[[Tensor], Tensor] | Base
    """From pictures (B, side, side, 1) in 0..1 to what a head reads."""
    source: str
    head: Callable[[Tensor, int, str], Tensor] = dense_head
    """From that, a size and a name to logits (B, size)."""
    side: int = SIDE
    """Of the pictures that its recipe trains on, pixels."""
    smallest: int = 32
    """Side of the smallest pictures that it can read, pixels."""
    fixed_by: str = ""
    """Why its side cannot be left free, where it cannot."""


FLATTEN = "flattens its features"
OURS = "of this project"

ARCHITECTURES: dict[str, Architecture] = {
    "large": Architecture(large, f"{OURS}; blocks of He et al. 2016", smallest=16),
    "small": Architecture(small, f"{OURS}; blocks of He et al. 2016", smallest=16),
    "tiny": Architecture(tiny, f"{OURS}; learns from small", smallest=16),
    "mobilenet_v2": Architecture(mobilenet_v2, "after Sandler et al. 2018"),
    "mobilenet_v3": Architecture(mobilenet_v3, "after Howard et al. 2019, Small"),
    "custom_cnn": Architecture(
        custom_cnn, "github.com/atulapra/Emotion-detection", fixed_by=FLATTEN
    ),
    "elu_cnn": Architecture(
        elu_cnn, "kaggle.com/gauravsharma99/facial-emotion-recognition", fixed_by=FLATTEN
    ),
    "deepfer": Architecture(
        deepfer, "github.com/Ayush245101/DeepFER-…-Using-Deep-Learning", fixed_by=FLATTEN
    ),
    "mini_xception": Architecture(mini_xception, "Arriaga et al. 2017", head=map_head),
    "resnet50": Architecture(transfer.RESNET50, "keras.applications; He et al. 2016"),
    "vgg16": Architecture(transfer.VGG16, "keras.applications; Simonyan & Zisserman 2015"),
    "inceptionv3": Architecture(
        transfer.INCEPTIONV3, "keras.applications; Szegedy et al. 2016", side=96, smallest=75
    ),
    "mobilenet_v2_transfer": Architecture(
        transfer.MOBILENET_V2,
        "keras.applications; Sandler et al. 2018",
        side=96,
        fixed_by="pads by its side",
    ),
}


def build(
    architecture: str,
    heads: Mapping[str, int],
    side: int | None = SIDE,
    weights: str = NONE,
    frozen: bool = False,
) -> Any:
    """Return a `tf_keras.Model` from pictures (B, side, side, 1) in 0..1 to logits, by head.

    The outputs are a dict by head, or one tensor where there is one head. Without a `side`
    the model takes any, with the strides that it has at 48. `weights` are those that the base
    of a transfer architecture starts from: `imagenet`, a local .h5 file or `none`; `frozen`
    trains only what follows the base.

    Raises `SettingsError` for an architecture that is not in the registry, a side that it
    cannot have, and weights that are not to be had or are of another net.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SettingsError(f"unknown architecture '{architecture}'; known: {known}")
    design = ARCHITECTURES[architecture]
    _require_side(architecture, design, side)
    picture = layers.Input((side, side, 1), name="picture")
    if isinstance(design.body, Base):
        features = transferred(design.body, picture, weights, frozen)
    else:
        _require_no_base(architecture, weights, frozen)
        features = design.body(picture)
    outputs = {name: design.head(features, size, name) for name, size in heads.items()}
    return keras.Model(picture, unwrapped(outputs), name=architecture)


def _require_side(name: str, design: Architecture, side: int | None) -> None:
    if side is None and design.fixed_by:
        raise SettingsError(
            f"{name} {design.fixed_by}, so that its side is fixed; leave `sizes` out of the recipe"
        )
    if side is not None and side < design.smallest:
        raise SettingsError(
            f"{name} needs pictures of at least {design.smallest} pixels, got {side}; "
            f"set `side = {design.side}` in the recipe"
        )


def _require_no_base(name: str, weights: str, frozen: bool) -> None:
    if weights != NONE or frozen:
        bases = ", ".join(k for k, v in ARCHITECTURES.items() if isinstance(v.body, Base))
        what = "frozen" if weights == NONE else "weights"
        raise SettingsError(
            f"{name} has no base to start from; leave `{what}` out of the recipe, name the folder "
            f"of a run of {name} as `weights`, or choose one of {bases}"
        )
