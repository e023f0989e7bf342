"""Published FER networks: plain CNNs of notebooks, and mini-XCEPTION."""

from __future__ import annotations

from edgefer_train.architectures.blocks import Tensor, convolution, layers, normalization


def custom_cnn(image: Tensor) -> Tensor:
    """Four 3x3 convolutions without padding, three poolings, a dense layer of 1,024."""
    x = _relu(_relu(image, 32, "conv1"), 64, "conv2")
    x = _pool(x, 0.25, "1")
    x = _pool(_relu(x, 128, "conv3"), 0.0, "2")
    x = _pool(_relu(x, 128, "conv4"), 0.25, "3")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1024, activation="relu", name="dense1")(x)
    return layers.Dropout(0.5, name="dropout4")(x)


def elu_cnn(image: Tensor) -> Tensor:
    """Three pairs of convolutions, each with ELU and then batch normalization."""
    x = image
    for stage, (filters, kernel, dropout) in enumerate(
        ((64, 5, 0.4), (128, 3, 0.4), (256, 3, 0.5)), 1
    ):
        x = _elu(_same(x, filters, kernel, f"conv{stage}a"), f"conv{stage}a")
        x = _elu(_same(x, filters, kernel, f"conv{stage}b"), f"conv{stage}b")
        x = _pool(x, dropout, str(stage))
    x = layers.Flatten(name="flatten")(x)
    x = _elu(layers.Dense(128, kernel_initializer="he_normal", name="dense1")(x), "dense1")
    return layers.Dropout(0.6, name="dropout4")(x)


def deepfer(image: Tensor) -> Tensor:
    """Four wide convolutions, each with ReLU, then normalized, pooled and thinned; two dense."""
    x = image
    for stage, (filters, kernel) in enumerate(((64, 5), (128, 3), (512, 3), (512, 3)), 1):
        name = f"conv{stage}"
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu", name=name)(x)
        x = _pool(layers.BatchNormalization(name=f"{name}_bn")(x), 0.3, str(stage))
    x = layers.Flatten(name="flatten")(x)
    for at, units in enumerate((256, 512), 1):
        x = layers.Dense(units, activation="relu", name=f"dense{at}")(x)
        x = layers.BatchNormalization(name=f"dense{at}_bn")(x)
        x = layers.Dropout(0.3, name=f"dense{at}_dropout")(x)
    return x


def _relu(x: Tensor, filters: int, name: str) -> Tensor:
    return layers.Conv2D(filters, 3, activation="relu", name=name)(x)


def _same(x: Tensor, filters: int, kernel: int, name: str) -> Tensor:
    return layers.Conv2D(
        filters, kernel, padding="same", kernel_initializer="he_normal", name=name
    )(x)


def _elu(x: Tensor, name: str) -> Tensor:
    return layers.BatchNormalization(name=f"{name}_bn")(layers.ELU(name=f"{name}_elu")(x))


def _pool(x: Tensor, dropout: float, stage: str) -> Tensor:
    x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    return layers.Dropout(dropout, name=f"dropout{stage}")(x) if dropout else x


def mini_xception(image: Tensor) -> Tensor:
    """Two small convolutions and four separable blocks (Arriaga et al. 2017, figure 3).

    The two are without padding, so that it does not matter that the original's images
    are in -1..1: the normalization takes it up.
    """
    x = image
    for name in ("stem_a", "stem_b"):
        x = layers.Conv2D(8, 3, use_bias=False, kernel_initializer="he_normal", name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(normalization(x, f"{name}_bn"))
    for at, filters in enumerate((16, 32, 64, 128), 1):
        x = _xception_block(x, filters, f"block{at}")
    return x


def map_head(x: Tensor, size: int, name: str) -> Tensor:
    """Return logits (B, size): a map of features for each label, averaged over the image."""
    x = layers.Conv2D(size, 3, padding="same", name=f"{name}_map")(x)
    return layers.GlobalAveragePooling2D(dtype="float32", name=name)(x)


def _xception_block(x: Tensor, filters: int, name: str) -> Tensor:
    y = _separable(x, filters, f"{name}_a")
    y = _separable(layers.ReLU(name=f"{name}_a_relu")(y), filters, f"{name}_b")
    y = layers.MaxPooling2D(3, 2, "same", name=f"{name}_pool")(y)
    return layers.Add(name=f"{name}_add")([convolution(x, filters, 1, 2, f"{name}_short"), y])


def _separable(x: Tensor, filters: int, name: str) -> Tensor:
    """A separable convolution as its two parts, between which int8 needs a range."""
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_each")(x)
    return convolution(x, filters, 1, 1, name)
