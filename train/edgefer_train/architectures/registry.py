"""The networks, by name, and building one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tf_keras as keras

from edgefer.errors import SettingsError
from edgefer_train.architectures.blocks import Tensor, as_outputs, dense_head, layers
from edgefer_train.architectures.classic import (
    custom_cnn,
    deepfer,
    elu_cnn,
    map_head,
    mini_xception,
)
from edgefer_train.architectures.mobile import mobilenet_v2, mobilenet_v3
from edgefer_train.architectures.residual import large, small, tiny
from edgefer_train.architectures.transfer import (
    INCEPTIONV3,
    MOBILENET_V2,
    NONE,
    RESNET50,
    VGG16,
    Base,
    transferred,
)
from edgefer_train.data.dataset import SIDE


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a network is made, and where it comes from."""

    body: Callable[[Tensor], Tensor] | Base
    """From images (B, side, side, 1) in 0..1 to what a head reads."""
    source: str
    head: Callable[[Tensor, int, str], Tensor] = dense_head
    """From that, a size and a name to logits (B, size)."""
    side: int = SIDE
    """Of the images that its recipe trains on, pixels."""
    smallest: int = 32
    """Side of the smallest images that it can read, pixels."""
    fixed_by: str = ""
    """Why its side cannot be left free, where it cannot."""
    xla: bool = False
    """Whether XLA may speed up a float32 step on a CPU, so that a trial is worth it. Measured:
    depthwise convolutions take ten times as long, `large` 1.7 times (AVX-512, two cores)."""


FLATTEN = "flattens its features"
OURS = "of this project"
APPLICATIONS = "keras.applications"

ARCHITECTURES: dict[str, Architecture] = {
    "large": Architecture(large, f"{OURS}; blocks of He et al. 2016", smallest=16),
    "small": Architecture(small, f"{OURS}; blocks of He et al. 2016", smallest=16, xla=True),
    "tiny": Architecture(tiny, f"{OURS}; learns from small", smallest=16),
    "mobilenet_v2": Architecture(mobilenet_v2, "after Sandler et al. 2018"),
    "mobilenet_v3": Architecture(mobilenet_v3, "after Howard et al. 2019, Small"),
    "custom_cnn": Architecture(
        custom_cnn, "github.com/atulapra/Emotion-detection", fixed_by=FLATTEN
    ),
    "elu_cnn": Architecture(
        elu_cnn, "kaggle.com/gauravsharma99/facial-emotion-recognition", fixed_by=FLATTEN, xla=True
    ),
    "deepfer": Architecture(
        deepfer, "github.com/Ayush245101/DeepFER-…-Using-Deep-Learning", fixed_by=FLATTEN, xla=True
    ),
    "mini_xception": Architecture(mini_xception, "Arriaga et al. 2017", head=map_head),
    "resnet50": Architecture(RESNET50, f"{APPLICATIONS}; He et al. 2016"),
    "vgg16": Architecture(VGG16, f"{APPLICATIONS}; Simonyan & Zisserman 2015", xla=True),
    "inceptionv3": Architecture(
        INCEPTIONV3, f"{APPLICATIONS}; Szegedy et al. 2016", side=96, smallest=75
    ),
    "mobilenet_v2_transfer": Architecture(
        MOBILENET_V2, f"{APPLICATIONS}; Sandler et al. 2018", side=96, fixed_by="pads by its side"
    ),
}


def build(
    architecture: str,
    heads: Mapping[str, int],
    side: int | None = SIDE,
    weights: str = NONE,
    frozen: float = False,
    top: int | None = None,
) -> Any:
    """Return a `tf_keras.Model` from images (B, side, side, 1) in 0..1 to logits, by head.

    The outputs are a dict by head, or one tensor where there is one head. Without a `side`
    the model takes any, with the strides that it has at 48. `weights` are those that the base
    of a transfer architecture starts from: `imagenet`, a local .h5 file or `none`; `frozen` is
    the share of the base's layers that are not trained, `top` the units of what follows it.

    Raises `SettingsError` for an architecture that is not in the registry, a side that it
    cannot have, and weights that are not to be had or are of another net.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SettingsError(f"unknown architecture '{architecture}'; known: {known}")
    design = ARCHITECTURES[architecture]
    require_side(architecture, side)
    image = layers.Input((side, side, 1), name="image")
    if isinstance(design.body, Base):
        features = transferred(design.body, image, weights, frozen, top)
    else:
        _require_no_base(architecture, weights, frozen=bool(frozen), top=top)
        features = design.body(image)
    outputs = {name: design.head(features, size, name) for name, size in heads.items()}
    return keras.Model(image, as_outputs(outputs), name=architecture)


def require_side(name: str, side: int | None) -> None:
    """Raise `SettingsError` unless a network can have this side, or with None any."""
    design = ARCHITECTURES[name]
    if side is None and design.fixed_by:
        raise SettingsError(
            f"{name} {design.fixed_by}, so that its side is fixed; leave `sizes` out of the "
            "recipe, or --set fit.sizes=[]"
        )
    if side is not None and side < design.smallest:
        raise SettingsError(
            f"{name} needs images of at least {design.smallest} pixels, got {side}; "
            f"--set side={design.side}, or set it in the recipe"
        )


def _require_no_base(name: str, weights: str, *, frozen: bool, top: int | None) -> None:
    if weights != NONE or frozen or top:
        bases = ", ".join(k for k, v in ARCHITECTURES.items() if isinstance(v.body, Base))
        what = "`frozen`" if frozen else "`top`"
        if weights != NONE:
            what = f"`weights` '{weights}', no run and no bundle"
        raise SettingsError(
            f"{name} has no base for {what}; leave it out of the recipe, name a run's folder or a "
            f"bundle of {name} as `weights`, or choose one of {bases}"
        )
