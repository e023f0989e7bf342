"""Augmentation of a batch inside the graph: one resampling for all the geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from edgefer_train.architectures import Tensor
from edgefer_train.recipe import Augment


class Draw:
    """Stateless draws for the images of a batch, a new stream for each call.

    The numbers are those of the whole batch, whichever of its places are requested:
    workers that share a batch draw what one would.
    """

    def __init__(self, seed: Tensor, size: int, at: Tensor) -> None:
        self.seed = seed
        """(2,) int64."""
        self.size = size
        """Images in the whole batch."""
        self.at = at
        """(n,) int64, the places of the images in the batch."""
        self.calls = 0

    def uniform(self, low: float, high: float) -> Tensor:
        """Return (n,) float32 in [low, high)."""
        return self._mine(tf.random.stateless_uniform([self.size], self._next(), low, high))

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return (n, *shape) float32 from the standard normal distribution."""
        return self._mine(tf.random.stateless_normal([self.size, *shape], self._next()))

    def beta(self, alpha: float) -> Tensor:
        """Return (n,) float32 from Beta(alpha, alpha), as a share of two gamma draws."""
        mine, other = tf.unstack(tf.random.stateless_gamma([2, self.size], self._next(), alpha))
        return self._mine(tf.math.divide_no_nan(mine, mine + other))

    def _next(self) -> Tensor:
        self.calls += 1
        return tf.stack([self.seed[0], self.seed[1] * 64 + self.calls])

    def _mine(self, drawn: Tensor) -> Tensor:
        return drawn if self.at.shape[0] == self.size else tf.gather(drawn, self.at)


def augment(images: Tensor, how: Augment, draw: Draw, side: int) -> Tensor:
    """Change float32 images (n, S, S, 1) in 0..1, the same way for the same draws.

    Returns (n, side, side, 1): a change of size costs nothing beside the geometry.
    """
    images = _move(images, how, draw, side)
    images = _light(images, how, draw)
    return _erase(images, how, draw)


def mixup(values: Sequence[Tensor], alpha: float, draw: Draw) -> list[Tensor]:
    """Blend each face with its neighbour by a share from Beta(alpha, alpha).

    `values` (n, ...) belong to the same faces: images, targets, weights. Places 0 and 1
    are neighbours, 2 and 3, and so on: an even part of a batch needs no other part.
    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    count = values[0].shape[0]
    neighbour = np.minimum(np.arange(count) ^ 1, count - 1)
    share = draw.beta(alpha)

    def blended(value: Tensor) -> Tensor:
        own = tf.reshape(share, [-1] + [1] * (len(value.shape) - 1))
        return own * value + (1 - own) * tf.gather(value, neighbour)

    return [blended(value) for value in values]


def _move(images: Tensor, how: Augment, draw: Draw, side: int) -> Tensor:
    """Rotate, zoom, shear, shift and flip about the centre, on to `side` pixels."""
    angle = draw.uniform(-how.rotation, how.rotation) * (math.pi / 180)
    step = images.shape[1] / side
    scale_x = step * (1 + draw.uniform(-how.zoom, how.zoom))
    scale_y = step * (1 + draw.uniform(-how.zoom, how.zoom))
    if how.flip:
        scale_x *= tf.sign(draw.uniform(-1, 1))
    shear = draw.uniform(-how.shear, how.shear)
    cos, sin = tf.cos(angle), tf.sin(angle)
    a, b = cos * scale_x, (shear * cos - sin) * scale_y
    d, e = sin * scale_x, (shear * sin + cos) * scale_y
    centre, middle = (images.shape[1] - 1) / 2, (side - 1) / 2
    c = centre - (a + b) * middle + draw.uniform(-how.shift, how.shift)
    f = centre - (d + e) * middle + draw.uniform(-how.shift, how.shift)
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], 1),
        output_shape=[side, side],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _light(images: Tensor, how: Augment, draw: Draw) -> Tensor:
    """Change brightness and contrast about the image's mean; stays in 0..1."""
    if not (how.brightness or how.contrast):
        return images
    gain = draw.uniform(1 - how.contrast, 1 + how.contrast)[:, None, None, None]
    offset = draw.uniform(-how.brightness, how.brightness)[:, None, None, None]
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    return tf.clip_by_value((images - mean) * gain + mean + offset, 0, 1)


def _erase(images: Tensor, how: Augment, draw: Draw) -> Tensor:
    """Replace a square of a tenth to a third of the side by mid-grey (Zhong et al. 2020)."""
    if not how.erasing:
        return images
    side = tf.cast(tf.shape(images)[1], tf.float32)
    size = draw.uniform(0.1, 0.33) * side * tf.cast(draw.uniform(0, 1) < how.erasing, tf.float32)
    at = tf.range(side)[None, :]

    def inside(start: Tensor) -> Tensor:
        return (at >= start[:, None]) & (at < (start + size)[:, None])

    rows, columns = (inside(draw.uniform(0, 1) * (side - size)) for _ in range(2))
    hole = rows[:, :, None, None] & columns[:, None, :, None]
    return tf.where(hole, 0.5, images)
