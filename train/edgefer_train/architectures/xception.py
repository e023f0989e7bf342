"""mini_XCEPTION: separable convolutions with shortcuts, and no dense layer."""

from __future__ import annotations

from edgefer_train.architectures.blocks import Tensor, convolution, layers, normalization


def mini_xception(picture: Tensor) -> Tensor:
    """Two small convolutions and four separable blocks (Arriaga et al. 2017, figure 3).

    The two are without padding, so that it does not matter that the original's pictures
    are in -1..1: the normalization takes it up.
    """
    x = picture
    for name in ("stem_a", "stem_b"):
        x = layers.Conv2D(8, 3, use_bias=False, kernel_initializer="he_normal", name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(normalization(x, f"{name}_bn"))
    for at, filters in enumerate((16, 32, 64, 128), 1):
        x = _block(x, filters, f"block{at}")
    return x


def map_head(x: Tensor, size: int, name: str) -> Tensor:
    """Return logits (B, size): a map of features for each label, averaged over the picture."""
    x = layers.Conv2D(size, 3, padding="same", name=f"{name}_map")(x)
    return layers.GlobalAveragePooling2D(dtype="float32", name=name)(x)


def _block(x: Tensor, filters: int, name: str) -> Tensor:
    y = _separable(x, filters, f"{name}_a")
    y = _separable(layers.ReLU(name=f"{name}_a_relu")(y), filters, f"{name}_b")
    y = layers.MaxPooling2D(3, 2, "same", name=f"{name}_pool")(y)
    return layers.Add(name=f"{name}_add")([convolution(x, filters, 1, 2, f"{name}_short"), y])


def _separable(x: Tensor, filters: int, name: str) -> Tensor:
    """A separable convolution as its two parts, between which int8 needs a range."""
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_each")(x)
    return convolution(x, filters, 1, 1, name)
