"""Nets of keras.applications on grey images, from ImageNet weights where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tf_keras as keras

from edgefer.errors import SettingsError
from edgefer_train.architectures.blocks import Tensor, layers

NONE = "none"
"""`weights` of a net that starts from nothing."""
IMAGENET = "imagenet"
TOP = 256
"""Units of the dense layer after a base."""
SERVER = "https://storage.googleapis.com/tensorflow/keras-applications"

CAFFE = (255.0, (-103.939, -116.779, -123.68))
"""Scale and offsets of three channels from grey 0..1: 0..255 less ImageNet's mean blue, green
and red, as the weights ported from Caffe expect."""
SIGNED = (2.0, (-1.0, -1.0, -1.0))
"""-1..1, as TensorFlow's own weights expect."""


@dataclass(frozen=True, slots=True)
class Base:
    """A net of keras.applications without its top."""

    application: str
    """The function in `keras.applications`."""
    file: str
    """What Keras calls its ImageNet weights without the top, below `SERVER`."""
    preprocessing: tuple[float, tuple[float, float, float]]


RESNET50 = Base("ResNet50", "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", CAFFE)
VGG16 = Base("VGG16", "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", CAFFE)
INCEPTIONV3 = Base(
    "InceptionV3", "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5", SIGNED
)
MOBILENET_V2 = Base(
    "MobileNetV2",
    "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5",
    SIGNED,
)


def transferred(base: Base, image: Tensor, weights: str, frozen: float, top: int | None) -> Tensor:
    """Return features (B, `top`) of grey images 0..1.

    `weights` is `imagenet`, the file that Keras would fetch for it, or `none`. `frozen` is the
    share of the base's layers, from the first on, that stay as they are: nothing in them is
    trained and their normalizations keep their means. Raises `SettingsError` where the weights
    cannot be had or fit another net.
    """
    rgb = _three_channels(image, base)
    net = _application(base, input_tensor=rgb)
    within = [layer for layer in net.layers if layer.name not in ("image", "rgb")]
    if weights != NONE:
        _copy_weights(_with_weights(base, weights), within)
    elif frozen:
        raise SettingsError(
            f"frozen without weights would leave {base.application} random; "
            "name its `weights` or set `frozen = false`"
        )
    for layer in within[: round(frozen * len(within))]:
        layer.trainable = False
    x = layers.GlobalAveragePooling2D(name="pool")(net.output)
    x = layers.Dense(top or TOP, activation="relu", name="top")(x)
    return layers.Dropout(0.5, name="dropout")(x)


def _three_channels(image: Tensor, base: Base) -> Tensor:
    """Repeat grey three times and preprocess, by a convolution that int8 can do."""
    scale, offsets = base.preprocessing
    layer = layers.Conv2D(3, 1, trainable=False, name="rgb")
    rgb = layer(image)
    layer.set_weights([np.full((1, 1, 1, 3), scale, np.float32), np.array(offsets, np.float32)])
    return rgb


def _application(base: Base, weights: str | None = None, input_tensor: Tensor = None) -> Any:
    make = getattr(keras.applications, base.application)
    shape = None if input_tensor is not None else (96, 96, 3)
    return make(include_top=False, weights=weights, input_tensor=input_tensor, input_shape=shape)


def _with_weights(base: Base, weights: str) -> Any:
    """The base by itself: a file of its weights knows nothing of the layers around it."""
    if weights == IMAGENET:
        return _downloaded(base)
    path = Path(weights)
    if not path.is_file() or not h5py.is_hdf5(path):
        what = "is no HDF5 file" if path.is_file() else "is not there"
        raise SettingsError(
            f"{path}: {what}; `weights` is imagenet, none, or a file like {SERVER}/{base.file}"
        )
    net = _application(base)
    try:
        net.load_weights(str(path))
    except (ValueError, KeyError, OSError) as exc:
        raise SettingsError(
            f"{path}: not the weights of {base.application} without its top, which Keras calls "
            f"{Path(base.file).name}"
        ) from exc
    return net


def _downloaded(base: Base) -> Any:
    try:
        return _application(base, IMAGENET)
    except Exception as exc:  # Keras raises just that when a download fails.
        raise SettingsError(
            f"the ImageNet weights of {base.application} cannot be fetched; bring "
            f"{SERVER}/{base.file} and name the file as `weights` in the recipe, or set "
            f'`weights = "{NONE}"`'
        ) from exc


def _copy_weights(source: Any, layers_of_net: list[Any]) -> None:
    """By position: Keras numbers the names of some layers anew in each net."""
    sources = [layer for layer in source.layers if layer.weights]
    targets = [layer for layer in layers_of_net if layer.weights]
    for one, other in zip(sources, targets, strict=True):
        other.set_weights(one.get_weights())
