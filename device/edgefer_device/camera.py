"""Where pictures come from: the seam, and the one function that chooses behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgefer.errors import SettingsError
from edgefer.preprocess import Pixels
from edgefer_device.address import Address, parse_address, take_options

Clock = Callable[[], float]
"""Seconds that never run backwards."""

FORMS = {
    "file": "file:PATH[?pace=real][&loop=1]",
    "demo": "demo:",
    "v4l2": "v4l2:/dev/video0",
    "auto": "auto:",
}
"""By scheme: how a camera's address is written."""

OPTIONS = {"file": {"pace": ("real", "fast"), "loop": ("0", "1")}}
"""By scheme: the options and their values."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it was taken."""

    picture: Pixels
    """BGR uint8 (H, W, 3)."""
    time: float
    """Seconds on the camera's clock: a clip's own time, or since a live camera opened."""
    number: int
    """Count of frames since the camera opened, from 0."""


class Camera(Protocol):
    """Gives frames in order, to one thread."""

    @property
    def live(self) -> bool:
        """Whether time passes by itself, so that frames not taken at once are lost."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the end or `close`; raise `CameraLost` if they stop before."""
        ...

    def close(self) -> None:
        """Release the camera; may be called from any thread, and again."""
        ...


def camera_address(uri: str) -> Address:
    """Take a camera's address apart without opening it; raise `SettingsError`."""
    address = parse_address(uri, "camera", FORMS)
    take_options(address, uri, OPTIONS.get(address.scheme, {}))
    if address.scheme in ("demo", "auto") and address.place:
        raise SettingsError(f"{uri}: '{address.scheme}:' takes no path; got '{address.place}'")
    return address


def open_camera(uri: str, clock: Clock = time.monotonic) -> Camera:
    """Open the camera at an address.

    Raises `SettingsError` for an address that is not one of `FORMS`,
    `CameraNotFound` where nothing stands at it and `CameraError` where what
    stands there is no camera.
    """
    address = camera_address(uri)
    # Only the chosen camera is imported, and each of them imports this module.
    if address.scheme == "file":
        from edgefer_device.clip import open_clip

        real, loop = address.options.get("pace") == "real", address.options.get("loop") == "1"
        return open_clip(Path(address.place), real, loop, clock)
    if address.scheme == "demo":
        from edgefer_device.portrait import open_portrait

        return open_portrait(clock)
    from edgefer_device.webcam import first_camera, open_webcam

    return first_camera(clock) if address.scheme == "auto" else open_webcam(address.place, clock)
