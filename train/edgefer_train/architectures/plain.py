"""Nets of notebooks: convolutions, max pooling and dense layers, no shortcuts."""

from __future__ import annotations

from edgefer_train.architectures.blocks import Tensor, layers


def custom_cnn(picture: Tensor) -> Tensor:
    """Four 3x3 convolutions without padding, three poolings, a dense layer of 1,024."""
    x = _relu(_relu(picture, 32, "conv1"), 64, "conv2")
    x = _pool(x, 0.25, "1")
    x = _pool(_relu(x, 128, "conv3"), 0.0, "2")
    x = _pool(_relu(x, 128, "conv4"), 0.25, "3")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1024, activation="relu", name="dense1")(x)
    return layers.Dropout(0.5, name="dropout4")(x)


def elu_cnn(picture: Tensor) -> Tensor:
    """Three pairs of convolutions, each with ELU and then batch normalization."""
    x = picture
    for stage, (filters, kernel, dropout) in enumerate(
        ((64, 5, 0.4), (128, 3, 0.4), (256, 3, 0.5)), 1
    ):
        x = _elu(_same(x, filters, kernel, f"conv{stage}a"), f"conv{stage}a")
        x = _elu(_same(x, filters, kernel, f"conv{stage}b"), f"conv{stage}b")
        x = _pool(x, dropout, str(stage))
    x = layers.Flatten(name="flatten")(x)
    x = _elu(layers.Dense(128, kernel_initializer="he_normal", name="dense1")(x), "dense1")
    return layers.Dropout(0.6, name="dropout4")(x)


def deepfer(picture: Tensor) -> Tensor:
    """Four wide convolutions, each normalized, pooled and thinned; two dense layers."""
    x = picture
    for stage, (filters, kernel) in enumerate(((64, 5), (128, 3), (512, 3), (512, 3)), 1):
        x = _same(x, filters, kernel, f"conv{stage}", use_bias=False)
        x = _pool(_normalized_relu(x, f"conv{stage}"), 0.25, str(stage))
    x = layers.Flatten(name="flatten")(x)
    for at, units in enumerate((256, 512), 1):
        x = layers.Dense(units, use_bias=False, kernel_initializer="he_normal", name=f"dense{at}")(
            x
        )
        x = _normalized_relu(x, f"dense{at}")
        x = layers.Dropout(0.25, name=f"dense{at}_dropout")(x)
    return x


def _relu(x: Tensor, filters: int, name: str) -> Tensor:
    return layers.Conv2D(filters, 3, activation="relu", name=name)(x)


def _same(x: Tensor, filters: int, kernel: int, name: str, use_bias: bool = True) -> Tensor:
    return layers.Conv2D(
        filters,
        kernel,
        padding="same",
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _elu(x: Tensor, name: str) -> Tensor:
    return layers.BatchNormalization(name=f"{name}_bn")(layers.ELU(name=f"{name}_elu")(x))


def _normalized_relu(x: Tensor, name: str) -> Tensor:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _pool(x: Tensor, dropout: float, stage: str) -> Tensor:
    x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    return layers.Dropout(dropout, name=f"dropout{stage}")(x) if dropout else x
