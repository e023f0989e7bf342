"""Reading image files."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import ImageError
from edgefer.preprocess import Pixels, decode_image

PHOTOS = "run: pip install 'edgefer[photos]'"
"""How to install Pillow and pillow-heif."""
HEIF = (".heic", ".heif", ".avif")
"""What phones write. OpenCV reads AVIF without its turn, and HEIC not at all."""
MOST = 64_000_000
"""Pixels, as OpenCV is told."""


def read_image(path: Path) -> Pixels:
    """Return an image file as BGR uint8 (H, W, 3), turned as its EXIF says; raise `ImageError`."""
    try:
        # Reading a pipe that nobody writes to would never end.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ImageError(f"{path}: is a pipe or a device, expected an image file")
        content = path.read_bytes()
    except OSError as exc:
        raise ImageError(f"{path}: {exc.strerror or exc}") from exc
    if path.suffix.lower() in HEIF:
        return _read_heif(path, content)
    image = decode_image(content, cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(
            f"{path}: not an image that OpenCV can read (JPEG, PNG, WebP, ...), "
            "damaged or cut off, or over 64 megapixels"
        )
    return np.asarray(image, np.uint8)


def _read_heif(path: Path, content: bytes) -> Pixels:
    if not importlib.util.find_spec("pillow_heif"):
        raise ImageError(f"{path}: a {path.suffix[1:].upper()} needs pillow-heif; {PHOTOS}")
    import pillow_heif
    from PIL import Image, ImageOps

    pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(content)) as image:
            fits = image.width * image.height <= MOST
            upright = ImageOps.exif_transpose(image).convert("RGB") if fits else None
    except Image.DecompressionBombError:
        upright = None
    except (OSError, ValueError, SyntaxError, RuntimeError) as exc:
        raise ImageError(f"{path}: not an image that Pillow can read") from exc
    if upright is None:
        raise ImageError(f"{path}: has over 64 megapixels")
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[..., ::-1])
