"""The Edge TPU's own library, through which LiteRT runs a file that was compiled for it."""

from __future__ import annotations

import ctypes
from typing import Any

from edgefer.errors import RuntimeMissing

NAME = "edgetpu"
"""Of the runtime, and of the bundle's format that it runs."""
LIBRARY = "libedgetpu.so.1"
INSTALL = (
    "install libedgetpu1-std for this system from https://github.com/feranick/libedgetpu/releases"
)
"""Google's own, at coral.ai, is of 2021: newer LiteRTs do not work with it (docs/deploy.md)."""


def delegate(litert: Any, library: str = LIBRARY) -> Any:
    """Return the delegate, by LiteRT's module `litert`; raise `RuntimeMissing` without one."""
    try:
        # LiteRT's own attempt leaves a broken object behind, whose __del__ prints a traceback.
        ctypes.CDLL(library)
    except OSError as exc:
        raise RuntimeMissing(f"edgetpu: {library} does not load; {INSTALL}", NAME) from exc
    try:
        return litert.load_delegate(library)
    except ValueError as exc:
        raise RuntimeMissing(
            f"edgetpu: {library} opens no Edge TPU: plug one in, end what else uses it, or be in "
            "the group plugdev",
            NAME,
        ) from exc
