"""Facial-expression models from a dataset to a device: what every stage shares."""

import os

__version__ = "0.1.0"

# OpenCV reads it once, when it is first imported: an image that claims more pixels is not decoded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(64 * 10**6))
