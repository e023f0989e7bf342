"""Reading image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgefer.errors import ImageError
from edgefer.preprocess import Pixels, decode_image


def read_image(path: Path) -> Pixels:
    """Return an image file as BGR uint8 (H, W, 3), turned as its EXIF says; raise `ImageError`."""
    try:
        # Reading a pipe that nobody writes to would never end.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ImageError(f"{path}: is a pipe or a device, expected an image file")
        content = path.read_bytes()
    except OSError as exc:
        raise ImageError(f"{path}: {exc.strerror or exc}") from exc
    image = decode_image(content, cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(
            f"{path}: not an image that OpenCV can read (JPEG, PNG, WebP, ...), "
            "or over 64 megapixels"
        )
    return np.asarray(image, np.uint8)
