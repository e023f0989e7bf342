"""Residual nets: of plain 3x3 kernels, and of separable ones where every byte counts."""

from __future__ import annotations

from edgefer_train.architectures.blocks import Tensor, convolution, layers, pooled

Block = tuple[str, int, int]
"""Name, channels and stride of two 3x3 convolutions."""


def small(image: Tensor) -> Tensor:
    """The default: at most 60 MMAC at 48x48 and 1 MB as int8 TFLite.

    Two halvings at once, then 96 to 128 channels, for int8 kernels work on 16 to 64 at a time:
    few channels at 48x48 or 24x24 cost more time than they earn. The stem is 3x3, for a kernel
    pays for each pixel under it as for a whole tile where the image has one channel.
    """
    x = _stem(image, 24, 3)
    for name, filters, stride in (("entry_a", 96, 2), ("entry_b", 96, 1)):
        x = layers.ReLU(name=f"{name}_relu")(convolution(x, filters, 3, stride, name))
    x = _blocks(x, ("block1", 96, 1), ("block2", 128, 2), ("block3", 128, 1))
    return pooled(x, 0.2)


def large(image: Tensor) -> Tensor:
    """The most accurate: at most 300 MMAC at 48x48 and 5 MB as int8 TFLite; teaches the others.

    All work is at 24x24 and below, on multiples of 64 channels, which fill int8 kernels' tiles.
    """
    x = _stem(image, 48, 3)
    x = _blocks(
        x,
        ("block1", 64, 1),
        ("block2", 64, 1),
        ("block3", 128, 2),
        ("block4", 128, 1),
        ("block5", 256, 2),
        ("block6", 256, 1),
    )
    return pooled(x, 0.4)


def tiny(image: Tensor) -> Tensor:
    """At most 100,000 bytes as int8 TFLite and 10.2 MMAC at 48x48.

    Residual blocks of separable convolutions (Chollet 2017), which have a seventh of the
    weights of plain ones with as many channels. No dropout: a net this small underfits.
    """
    x = _stem(image, 32, 5)
    for name, filters, stride in (
        ("block1", 32, 1),
        ("block2", 64, 2),
        ("block3", 64, 1),
        ("block4", 64, 1),
        ("block5", 88, 2),
        ("block6", 88, 1),
    ):
        x = _separable_residual(x, filters, stride, name)
    return pooled(x, 0.0)


def _stem(image: Tensor, filters: int, kernel: int) -> Tensor:
    x = convolution(image, filters, kernel, 2, "stem")
    return layers.ReLU(name="stem_relu")(x)


def _blocks(x: Tensor, *blocks: Block) -> Tensor:
    for name, filters, stride in blocks:
        x = _residual(x, filters, stride, name)
    return x


def _residual(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, figure 2).

    The last scale does not start at zero (Goyal et al. 2017, 5.1): in a net of three
    blocks that held training at the majority class for two epochs.
    """
    y = convolution(x, filters, 3, stride, f"{name}_a")
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = convolution(y, filters, 3, 1, f"{name}_b")
    if stride != 1 or x.shape[-1] != filters:
        x = convolution(x, filters, 1, stride, f"{name}_short")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _separable_residual(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """Two separable convolutions beside a shortcut."""
    y = _separable(x, filters, stride, f"{name}_a")
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = _separable(y, filters, 1, f"{name}_b")
    if stride != 1 or x.shape[-1] != filters:
        x = convolution(x, filters, 1, stride, f"{name}_short")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _separable(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """Filter each channel by 3x3, then mix the channels; nothing stands between the two."""
    x = layers.DepthwiseConv2D(
        3, stride, "same", use_bias=False, depthwise_initializer="he_normal", name=f"{name}_each"
    )(x)
    return convolution(x, filters, 1, 1, name)
