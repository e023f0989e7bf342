"""Readers of image files, as grey squares that a model learns from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from edgefer.console import track
from edgefer.errors import DatasetError
from edgefer.files import IMAGE_SUFFIXES
from edgefer.preprocess import Pixels, Preprocess, decode_image, to_grey

PNG = b"\x89PNG\r\n\x1a\n"


def read_grey(path: Path) -> Pixels:
    """Return an image file as grey uint8 (H, W), rotated by its EXIF.

    Colour becomes grey by the conversion that the device uses; an alpha channel is left
    out. Raises `DatasetError` for a file that is damaged or no image, and for one of
    16 bits: such files often use only some of their range (12 bits of a camera), so that
    any fixed scaling would quietly make dark images of them.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise DatasetError(f"{path}: {exc.strerror or exc}") from exc
    image = _decoded(content)
    if image is None:
        raise DatasetError(f"{path}: not an image that can be read, damaged, or over 64 megapixels")
    if image.dtype != np.uint8:
        raise DatasetError(
            f"{path}: has {8 * image.itemsize} bits a channel, expected 8; scale its grey "
            "levels to 0..255 and save it again"
        )
    return to_grey(np.asarray(image, np.uint8))


def describe_skipped(skipped: Mapping[str, int]) -> str:
    """Return how many files were left out for which endings; empty for none."""
    count = sum(skipped.values())
    if not count:
        return ""
    listed = ", ".join(
        f"{number:,} {suffix or 'without one'}" for suffix, number in skipped.items()
    )
    files = "1 file" if count == 1 else f"{count:,} files"
    return f"{files} skipped by ending ({listed}); read are {', '.join(IMAGE_SUFFIXES)}"


def resize_all(side: int, images: Pixels) -> Pixels:
    """Return square images (N, H, H) as (N, side, side); the same array if they are that."""
    if images.shape[1:] == (side, side):
        return images
    resize, resized = Preprocess(size=side).resize, np.empty((len(images), side, side), np.uint8)
    for row in track(range(len(images)), f"resizing images to {side}x{side}"):
        resized[row] = resize(images[row])
    return resized


def _decoded(content: bytes) -> np.ndarray | None:
    if content.startswith(PNG) and not _is_whole_png(content):
        return None
    return decode_image(content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)


def _is_whole_png(content: bytes) -> bool:
    """Walk a PNG's chunks (RFC 2083, section 3): libpng would read on behind what is wrong."""
    at, kind = len(PNG), b""
    while kind != b"IEND":
        size = int.from_bytes(content[at : at + 4], "big")
        kind, end = content[at + 4 : at + 8], at + 8 + size
        stored = content[end : end + 4]
        if len(stored) < 4 or zlib.crc32(content[at + 4 : end]) != int.from_bytes(stored, "big"):
            return False
        at = end + 4
    return True
