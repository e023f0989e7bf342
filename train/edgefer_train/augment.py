"""Augmentation of a batch inside the graph: one resampling for all the geometry."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from edgefer_train.recipe import Augment

Tensor = Any
"""A `tf.Tensor`; TensorFlow ships no types."""


def augment(images: Tensor, how: Augment, seed: Tensor, side: int) -> Tensor:
    """Change float32 pictures (B, S, S, 1) in 0..1, the same way for the same seed (2,).

    Returns (B, side, side, 1): a change of size costs nothing beside the geometry.
    """
    draw = _Draw(tf.shape(images)[0], seed)
    images = _move(images, how, draw, side)
    images = _light(images, how, draw)
    return _erase(images, how, draw)


class _Draw:
    """Stateless uniform draws, a new stream for each call."""

    def __init__(self, count: Tensor, seed: Tensor) -> None:
        self.count = count
        self.seed = seed
        self.calls = 0

    def __call__(self, low: float, high: float) -> Tensor:
        """(B,) float32 in [low, high)."""
        self.calls += 1
        seed = tf.stack([self.seed[0], self.seed[1] * 64 + self.calls])
        return tf.random.stateless_uniform([self.count], seed, low, high)


def _move(images: Tensor, how: Augment, draw: _Draw, side: int) -> Tensor:
    """Rotate, zoom, shear, shift and flip about the centre, on to `side` pixels."""
    angle = draw(-how.rotation, how.rotation) * (math.pi / 180)
    step = images.shape[1] / side
    scale_x = step * (1 + draw(-how.zoom, how.zoom))
    scale_y = step * (1 + draw(-how.zoom, how.zoom))
    if how.flip:
        scale_x *= tf.sign(draw(-1, 1))
    shear = draw(-how.shear, how.shear)
    cos, sin = tf.cos(angle), tf.sin(angle)
    a, b = cos * scale_x, (shear * cos - sin) * scale_y
    d, e = sin * scale_x, (shear * sin + cos) * scale_y
    centre, middle = (images.shape[1] - 1) / 2, (side - 1) / 2
    c = centre - (a + b) * middle + draw(-how.shift, how.shift)
    f = centre - (d + e) * middle + draw(-how.shift, how.shift)
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], 1),
        output_shape=[side, side],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _light(images: Tensor, how: Augment, draw: _Draw) -> Tensor:
    """Change brightness and contrast about the picture's mean; stays in 0..1."""
    if not (how.brightness or how.contrast):
        return images
    gain = draw(1 - how.contrast, 1 + how.contrast)[:, None, None, None]
    offset = draw(-how.brightness, how.brightness)[:, None, None, None]
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    return tf.clip_by_value((images - mean) * gain + mean + offset, 0, 1)


def _erase(images: Tensor, how: Augment, draw: _Draw) -> Tensor:
    """Replace a square of a tenth to a third of the side by mid-grey (Zhong et al. 2020)."""
    if not how.erasing:
        return images
    side = tf.cast(tf.shape(images)[1], tf.float32)
    size = draw(0.1, 0.33) * side * tf.cast(draw(0, 1) < how.erasing, tf.float32)
    at = tf.range(side)[None, :]

    def inside(start: Tensor) -> Tensor:
        return (at >= start[:, None]) & (at < (start + size)[:, None])

    rows, columns = (inside(draw(0, 1) * (side - size)) for _ in range(2))
    hole = rows[:, :, None, None] & columns[:, None, :, None]
    return tf.where(hole, 0.5, images)
