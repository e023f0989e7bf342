"""Camera degradations of a training batch: what a sensor, a lens and a codec do to a face crop.

Everything runs in the graph and is drawn for each face crop. Blur and loss of resolution are linear
along each axis, so that both are one product with a matrix for each crop and axis.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import tensorflow as tf

from edgefer_train.architectures import Tensor
from edgefer_train.fitting.augment import Draw
from edgefer_train.recipe import Augment

DEFOCUS = (0.4, 1.6)
"""Standard deviation of a defocus blur, pixels."""
MOTION = (0.8, 2.5)
"""Standard deviation of a motion blur along its axis, pixels."""
RESOLUTION = (0.33, 0.9)
"""Share of the side that is left of a face crop taken at low resolution."""
NOISE = (1.0, 14.0)
"""Standard deviation of sensor noise, grey levels of 0..255."""
QUALITY = (20.0, 90.0)
"""JPEG quality as libjpeg counts it, 1..100."""
BLOCK = 8
"""Side of a JPEG block, pixels."""
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
"""Quantization of luminance at quality 50. Source: ITU-T T.81, table K.1."""


def degrade(images: Tensor, how: Augment, draw: Draw) -> Tensor:
    """Degrade float32 face crops (n, S, S, 1) in 0..1 as a camera would; the shape stays.

    In the order of a camera: exposure, something in front of the face, lens, sensor, codec.
    """
    if how.gamma:
        images = _expose(images, how.gamma, draw)
    if how.occlusion:
        images = _occlude(images, how.occlusion, draw)
    if how.blur or how.low_resolution:
        images = _soften(images, how, draw)
    if how.noise:
        images = _add_noise(images, how.noise, draw)
    if how.jpeg:
        images = _compress(images, how.jpeg, draw)
    return images


def _expose(images: Tensor, largest: float, draw: Draw) -> Tensor:
    """Apply a gamma between 1 / (1 + largest) and 1 + largest."""
    limit = math.log1p(largest)
    return images ** _each(tf.exp(draw.uniform(-limit, limit)))


def _occlude(images: Tensor, chance: float, draw: Draw) -> Tensor:
    """Cover one half of the face, left, right, upper or lower, by one grey level."""
    side = images.shape[1]
    at = tf.range(side) < side // 2
    halves = tf.stack([_rows(at), _rows(~at), _columns(at), _columns(~at)])
    which = tf.cast(draw.uniform(0, 4), tf.int32)
    covered = tf.gather(halves, which) & _each(draw.uniform(0, 1) < chance)
    return tf.where(covered, _each(draw.uniform(0, 1)), images)


def _rows(at: Tensor) -> Tensor:
    return tf.broadcast_to(at[:, None, None], (at.shape[0], at.shape[0], 1))


def _columns(at: Tensor) -> Tensor:
    return tf.broadcast_to(at[None, :, None], (at.shape[0], at.shape[0], 1))


def _soften(images: Tensor, how: Augment, draw: Draw) -> Tensor:
    """Blur by defocus or by motion along one axis, or take the crop at a lower resolution."""
    side = images.shape[1]
    kind = draw.uniform(0, 1)
    blurred = draw.uniform(0, 1) < how.blur
    defocus = draw.uniform(*DEFOCUS)
    motion = draw.uniform(*MOTION)
    none = tf.zeros_like(defocus)
    along_x = tf.where(kind < 0.5, defocus, tf.where(kind < 0.75, motion, none))
    along_y = tf.where(kind < 0.5, defocus, tf.where(kind < 0.75, none, motion))
    low = draw.uniform(0, 1) < how.low_resolution
    share = draw.uniform(*RESOLUTION)
    at = tf.cast(share * side, tf.int32)
    resized = tf.gather(_resizing(side), tf.where(low, at, side))
    # Neither is common, both at once are rare: the resolution goes after the lens.
    rows = resized @ _gaussian(tf.where(blurred, along_y, none), side)
    columns = resized @ _gaussian(tf.where(blurred, along_x, none), side)
    softened = rows @ images[..., 0] @ tf.transpose(columns, (0, 2, 1))
    return softened[..., None]


def _gaussian(sigma: Tensor, side: int) -> Tensor:
    """Return (n, side, side): each row the weights of one pixel; the identity for sigma 0."""
    at = tf.range(side, dtype=tf.float32)
    distance = (at[:, None] - at[None, :]) ** 2
    weights = tf.exp(-distance / (2 * tf.maximum(sigma, 1e-2)[:, None, None] ** 2))
    return weights / tf.reduce_sum(weights, -1, keepdims=True)


@cache
def _resizing(side: int) -> np.ndarray:
    """Return (side + 1, side, side): row n takes a line of pixels down to n and up again."""
    matrices = np.tile(np.eye(side, dtype=np.float32), (side + 1, 1, 1))
    for size in range(2, side):
        matrices[size] = _linear(size, side) @ _area(side, size)
    return matrices


def _area(side: int, size: int) -> np.ndarray:
    """Return (size, side): the mean of the pixels that each of fewer pixels covers."""
    edges = np.arange(size + 1) * side / size
    at = np.arange(side)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    return np.asarray(np.clip(overlap, 0, None) * size / side, np.float32)


def _linear(size: int, side: int) -> np.ndarray:
    """Return (side, size): linear interpolation from pixel centres, edges repeated."""
    at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
    return np.asarray(np.clip(1 - np.abs(at[:, None] - np.arange(size)), 0, None), np.float32)


def _add_noise(images: Tensor, chance: float, draw: Draw) -> Tensor:
    """Add Gaussian noise whose strength is drawn for each crop."""
    strength = tf.where(draw.uniform(0, 1) < chance, draw.uniform(*NOISE) / 255, 0.0)
    noisy = images + _each(strength) * draw.normal(images.shape[1:])
    return tf.clip_by_value(noisy, 0, 1)


def _compress(images: Tensor, chance: float, draw: Draw) -> Tensor:
    """Round the coefficients of the cosine transform as JPEG does (ITU-T T.81, A.3)."""
    side = images.shape[1]
    if side % BLOCK:
        return images
    quality = draw.uniform(*QUALITY)
    scale = tf.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = scale[:, None, None, None, None] * LUMINANCE[None, None, :, None, :]
    table = tf.clip_by_value(tf.floor(table + 0.5), 1, 255)  # as libjpeg rounds it
    basis = tf.constant(_cosines())
    count = side // BLOCK
    blocks = tf.reshape(images * 255 - 128, (-1, count, BLOCK, count, BLOCK))
    coefficients = tf.einsum("ux,nixjy,vy->niujv", basis, blocks, basis)
    kept = tf.round(coefficients / table) * table
    decoded = tf.einsum("ux,niujv,vy->nixjy", basis, kept, basis)
    decoded = tf.clip_by_value((tf.reshape(decoded, tf.shape(images)) + 128) / 255, 0, 1)
    return tf.where(_each(draw.uniform(0, 1) < chance), decoded, images)


@cache
def _cosines() -> np.ndarray:
    """Return the orthonormal DCT-II of 8 pixels, (frequency, pixel)."""
    frequency, pixel = np.mgrid[:BLOCK, :BLOCK]
    basis = np.cos((2 * pixel + 1) * frequency * np.pi / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


def _each(values: Tensor) -> Tensor:
    """Return values (n,) as (n, 1, 1, 1)."""
    return values[:, None, None, None]
