"""Where pictures come from: the seam, and the one function that chooses behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgefer.preprocess import Pixels

if TYPE_CHECKING:
    from edgefer_device.cameras.opening import Order

Clock = Callable[[], float]
"""Seconds that never run backwards."""
Due = Callable[[float], bool]
"""Whether the frame of a time is wanted, seconds on the camera's clock."""

FORMS = {
    "auto": "auto:",
    "v4l2": "v4l2:[/dev/video0]",
    "picamera2": "picamera2:[0]",
    "gstreamer": "gstreamer:[PIPELINE]",
    "rtsp": "rtsp://HOST/PATH",
    "http": "http[s]://HOST/PATH",
    "file": "file:PATH[?pace=real][&loop=1]",
    "images": "images:PATH[?rate=10]",
    "demo": "demo:",
    "faulty": "faulty:CAMERA[?every=100][&stall=5s]",
}
"""By scheme: how a camera's address is written. Every camera has the options `rotate=90`,
`mirror=1` and `crop=480x480+80+0`, and each kind its own; they stand behind `?`, for
streams, where that is the server's, behind `#`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it was taken."""

    picture: Pixels
    """BGR uint8 (H, W, 3)."""
    time: float
    """Seconds on the camera's clock: a clip's own time, or since a live camera opened."""
    number: int
    """Count of frames since the camera opened, from 0."""


def always(_: float) -> bool:
    """Want every frame."""
    return True


class Camera(Protocol):
    """Gives frames in order, to one thread."""

    @property
    def live(self) -> bool:
        """Whether time passes by itself, so that frames not taken at once are lost."""
        ...

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames until the end or `close`; raise `CameraLost` if they stop before.

        Those that are not `due` are passed over, before they are decoded where that can be:
        it is asked once for each, in order. Times never run backwards. A camera that opens
        again by itself does not raise when it is lost: it gives nothing until it is back.
        """
        ...

    def close(self) -> None:
        """Release the camera; may be called from any thread, and again."""
        ...


def camera_address(uri: str) -> Order:
    """Take a camera's address apart without opening it; raise `SettingsError`."""
    # Only who opens cameras loads their drivers, and each of them imports this module.
    from edgefer_device.cameras.opening import parse

    return parse(uri)


def open_camera(uri: str, clock: Clock = time.monotonic) -> Camera:
    """Open the camera at an address.

    Once open, hardware that is lost is opened again until it is back. Raises
    `SettingsError` for an address that is not one of `FORMS`, `CameraNotFound` where
    nothing stands at it and `CameraError` where what stands there is no camera.
    """
    from edgefer_device.cameras.opening import choose

    return choose(uri, clock)
