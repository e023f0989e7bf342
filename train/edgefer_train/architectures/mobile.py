"""Nets of inverted residuals: few multiplications, but slow to train on a CPU.

Made for 224x224 pixels and 32 times halved; at 48x48 two of the five strides are left
out, at 96x96 one, so that the last features are 6x6 at both.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgefer_train.architectures.blocks import Tensor, convolution, depthwise, layers, pooled

LARGE = 64
"""Side, pixels, from which on the first block halves the image too."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One inverted residual: widen, convolve each channel, narrow (Sandler et al. 2018)."""

    kernel: int
    wide: int
    """Channels between the two 1x1 convolutions."""
    filters: int
    stride: int
    squeeze: bool = False
    """Weigh the channels by what the whole image shows (Hu et al. 2018)."""
    swish: bool = False
    """Hard swish in place of ReLU."""


def mobilenet_v2(image: Tensor) -> Tensor:
    """MobileNetV2 at two thirds of its depth (Sandler et al. 2018, table 2)."""
    x = layers.ReLU(6.0, name="stem_relu")(convolution(image, 32, 3, 2, "stem"))
    table = (
        Bottleneck(3, 32, 16, _first_stride(image)),
        Bottleneck(3, 96, 24, 2),
        Bottleneck(3, 144, 24, 1),
        Bottleneck(3, 144, 32, 1),
        Bottleneck(3, 192, 32, 1),
        Bottleneck(3, 192, 64, 2),
        Bottleneck(3, 384, 64, 1),
        Bottleneck(3, 384, 64, 1),
        Bottleneck(3, 384, 96, 1),
        Bottleneck(3, 576, 96, 1),
    )
    for at, block in enumerate(table, 1):
        x = _bottleneck(x, block, f"block{at}")
    x = layers.ReLU(6.0, name="last_relu")(convolution(x, 384, 1, 1, "last"))
    return pooled(x, 0.2)


def mobilenet_v3(image: Tensor) -> Tensor:
    """MobileNetV3-Small without its last 1,024 channels (Howard et al. 2019, table 2).

    The gates are true sigmoids: a hard sigmoid stays in float when TFLite converts it.
    """
    x = hard_swish(convolution(image, 16, 3, 2, "stem"), "stem_swish")
    table = (
        Bottleneck(3, 16, 16, _first_stride(image), squeeze=True),
        Bottleneck(3, 72, 24, 2),
        Bottleneck(3, 88, 24, 1),
        Bottleneck(5, 96, 40, 2, squeeze=True, swish=True),
        Bottleneck(5, 240, 40, 1, squeeze=True, swish=True),
        Bottleneck(5, 240, 40, 1, squeeze=True, swish=True),
        Bottleneck(5, 120, 48, 1, squeeze=True, swish=True),
        Bottleneck(5, 144, 48, 1, squeeze=True, swish=True),
        Bottleneck(5, 288, 96, 1, squeeze=True, swish=True),
        Bottleneck(5, 576, 96, 1, squeeze=True, swish=True),
    )
    for at, block in enumerate(table, 1):
        x = _bottleneck(x, block, f"block{at}")
    x = hard_swish(convolution(x, 576, 1, 1, "last"), "last_swish")
    return pooled(x, 0.2)


def hard_swish(x: Tensor, name: str) -> Tensor:
    """x ReLU6(x + 3) / 6, in the layers that TFLite takes together for its own operation."""
    gate = layers.ReLU(6.0, name=f"{name}_gate")(layers.Rescaling(1.0, 3.0, name=f"{name}_up")(x))
    return layers.Multiply(name=name)([x, layers.Rescaling(1 / 6, name=f"{name}_down")(gate)])


def _first_stride(image: Tensor) -> int:
    """A free side is one near 48."""
    return 2 if (image.shape[1] or 0) > LARGE else 1


def _bottleneck(x: Tensor, block: Bottleneck, name: str) -> Tensor:
    y = x
    if block.wide != x.shape[-1]:
        y = _activated(convolution(y, block.wide, 1, 1, f"{name}_up"), block, f"{name}_up_act")
    y = depthwise(y, block.kernel, block.stride, f"{name}_each")
    y = _activated(y, block, f"{name}_each_act")
    if block.squeeze:
        y = _squeezed(y, f"{name}_squeeze")
    y = convolution(y, block.filters, 1, 1, f"{name}_down")
    if block.stride == 1 and block.filters == x.shape[-1]:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _activated(x: Tensor, block: Bottleneck, name: str) -> Tensor:
    return hard_swish(x, name) if block.swish else layers.ReLU(6.0, name=name)(x)


def _squeezed(x: Tensor, name: str) -> Tensor:
    """Squeeze to a quarter of the channels and excite."""
    channels = x.shape[-1]
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = layers.Conv2D(max(8, channels // 4), 1, activation="relu", name=f"{name}_in")(y)
    y = layers.Conv2D(channels, 1, name=f"{name}_out")(y)
    return layers.Multiply(name=name)([x, layers.Activation("sigmoid", name=f"{name}_gate")(y)])
