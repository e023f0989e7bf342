"""Facial-expression models from a dataset to a device: what every stage shares.

`load`, `train` and `convert` are the stages for notebooks; see `edgefer.notebook`.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgefer.notebook import convert as convert
    from edgefer.notebook import load as load
    from edgefer.notebook import train as train

__version__ = "0.1.0"

# OpenCV reads it once, when it is first imported: an image that claims more pixels is not decoded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(64 * 10**6))


def __getattr__(name: str) -> Any:
    """Return what notebooks call; imported only then, for a device needs none of it."""
    if name not in ("load", "train", "convert"):
        raise AttributeError(f"module 'edgefer' has no attribute '{name}'")
    from edgefer import notebook

    return getattr(notebook, name)
