"""Preprocessing: from a face in an image to the grey square that a model gets.

Training, calibration, evaluation and the device all call `Preprocess`; a test
holds their results equal to the bit.
"""

from __future__ import annotations

from contextlib import suppress

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.affine import Affine
from edgefer.console import native_stderr_dropped
from edgefer.errors import ImageError
from edgefer.messages import Box

Pixels = NDArray[np.uint8]

PIXEL = Affine(scale=1 / 255, zero_point=-128)
"""Grey levels 0..255 as reals 0..1: int8 value = grey level - 128, exactly."""


class Preprocess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a face becomes a model's input; part of the manifest."""

    size: int = 48
    """Side of the square, pixels."""
    margin: float = 0.0
    """Added to each side of a detector's box, as a share of the box's side."""

    def crop(self, image: Pixels, box: Box) -> Pixels:
        """Cut `box` out of a grey (H, W) or BGR image (H, W, 3) as a grey square (size, size).

        The square is centred on the box, its side the box's mean side and margin;
        what lies outside the image repeats its edge. Raises `ImageError` when the
        image is neither or the box is empty.
        """
        if box.width <= 0 or box.height <= 0:
            raise ImageError(f"a face box must have an area, got {box.width}x{box.height}")
        side = max(1, round((box.width + box.height) / 2 * (1 + 2 * self.margin)))
        left = round(box.left + box.width / 2 - side / 2)
        top = round(box.top + box.height / 2 - side / 2)
        return self.resize(_square(image, left, top, side))

    def resize(self, grey: Pixels) -> Pixels:
        """Resize a grey image (H, W) to (size, size), averaging areas when it shrinks."""
        _require_grey(grey)
        if grey.shape == (self.size, self.size):
            return grey
        shrinks = min(grey.shape) >= self.size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(grey, (self.size, self.size), interpolation=how), np.uint8)

    def to_float(self, crops: Pixels) -> NDArray[np.float32]:
        """Turn face crops (N, size, size) into float32 (N, size, size, 1) in 0..1."""
        pixels = self._batch(crops).astype(np.float32)
        return np.asarray(pixels * np.float32(PIXEL.scale), np.float32)

    def to_int8(self, crops: Pixels, affine: Affine) -> NDArray[np.int8]:
        """Turn face crops (N, size, size) into int8 (N, size, size, 1) by an input scale."""
        return int8_table(affine)[self._batch(crops)]

    def _batch(self, crops: Pixels) -> Pixels:
        self.require(crops)
        return crops[..., np.newaxis]

    def require(self, crops: Pixels) -> None:
        """Raise `ImageError` unless these are face crops (N, size, size)."""
        if crops.dtype != np.uint8 or crops.shape[1:] != (self.size, self.size):
            raise ImageError(
                f"face crops must be uint8 (N, {self.size}, {self.size}), "
                f"got {crops.dtype} {crops.shape}"
            )


def int8_table(affine: Affine) -> NDArray[np.int8]:
    """Return what each grey level 0..255 is at a model's input scale, int8 (256,)."""
    return affine.quantize(np.arange(256) * PIXEL.scale)


def decode_image(content: bytes, flags: int) -> np.ndarray | None:
    """Return an image file's pixels, None for what is no image or has over 64 megapixels.

    What the decoders print of it is dropped.
    """
    with suppress(cv2.error), native_stderr_dropped():
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    return None


def to_grey(image: Pixels) -> Pixels:
    """Return a BGR image (H, W, 3) or a grey one (H, W) as grey uint8 (H, W)."""
    if image.dtype != np.uint8:
        raise ImageError(f"an image must be uint8, got {image.dtype}")
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[2] == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    raise ImageError(f"an image must be (H, W) or (H, W, 3), got {image.shape}")


def _require_grey(grey: Pixels) -> None:
    if grey.dtype != np.uint8 or grey.ndim != 2 or grey.size == 0:
        raise ImageError(f"expected a grey uint8 image (H, W), got {grey.dtype} {grey.shape}")


def _square(image: Pixels, left: int, top: int, side: int) -> Pixels:
    """Cut a grey square that may reach outside the image; the edge is repeated there."""
    height, width = image.shape[:2]
    right, bottom = left + side, top + side
    inside = image[max(top, 0) : max(bottom, 1), max(left, 0) : max(right, 1)]
    pads = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if inside.size == 0:
        raise ImageError(f"face box at {left},{top} lies outside the {width}x{height} image")
    # Only the face is converted to grey: a whole image takes longer than all else here.
    grey = to_grey(inside)
    if not any(pads):
        return grey
    return np.asarray(cv2.copyMakeBorder(grey, *pads, cv2.BORDER_REPLICATE), np.uint8)
