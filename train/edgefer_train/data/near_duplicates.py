"""Near-duplicates: images that repeat another, to the bit or nearly."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.console import track

NEAR_COPY = 0.99
"""Correlation of 16x16 thumbnails from which two images count as one."""

BLOCK = 256
"""Images compared at once: with all of Training that is a matrix of 30 MB."""


@dataclass(frozen=True)
class NearDuplicates:
    """How each of some images is repeated among others."""

    nearest: NDArray[np.intp]
    """(N,) row of the most alike of the others; of the first identical one if there is one."""
    correlation: NDArray[np.float32]
    """(N,) of the two thumbnails, -1..1; 0 for an image of one grey level."""
    exact: NDArray[np.bool_]
    """(N,) whether that one is identical."""

    @property
    def near(self) -> NDArray[np.bool_]:
        """(N,) True for a near-copy that is not identical."""
        return (self.correlation > NEAR_COPY) & ~self.exact

    @property
    def copied(self) -> NDArray[np.bool_]:
        """(N,) True for an identical copy or a near-copy."""
        return (self.correlation > NEAR_COPY) | self.exact


def find_near_duplicates(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NearDuplicates:
    """Find the most alike of `others` (M, side, side) for each of `images` (N, side, side)."""
    first: dict[bytes, int] = {}
    for row, digest in enumerate(digests(others)):
        first.setdefault(digest, row)
    identical = np.array([first.get(digest, -1) for digest in digests(images)], np.intp)
    known, thumbnails = _thumbnails(others), _thumbnails(images)
    nearest, correlation = np.empty(len(images), np.intp), np.empty(len(images), np.float32)
    for at in track(range(0, len(images), BLOCK), "looking for copies"):
        block = slice(at, at + BLOCK)
        products = thumbnails[block] @ known.T
        nearest[block] = products.argmax(1)
        correlation[block] = products.max(1)
    return NearDuplicates(np.where(identical >= 0, identical, nearest), correlation, identical >= 0)


def digests(images: NDArray[np.uint8]) -> list[bytes]:
    """Return 16 bytes for each image, the same for identical images only."""
    return [digest(image) for image in images]


def digest(image: NDArray[np.uint8]) -> bytes:
    """Return the 16 bytes for one image (H, W)."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 256) zero-mean unit-length 16x16 means: a dot product is a correlation."""
    small = _area_means(images).reshape(len(images), -1)
    flat = small - small.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), np.float32)


def _area_means(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 16, 16) means of the areas that make up each image."""
    count, side = images.shape[:2]
    if side % 16 == 0:
        blocks = images.reshape(count, 16, side // 16, 16, side // 16)
        return np.asarray(blocks.mean((2, 4), dtype=np.float32))
    return np.stack([
        cv2.resize(image.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA)
        for image in images
    ])  # fmt: skip
