"""What the bench looks at: a camera, or a stand-in that never keeps it waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice

from edgefer.errors import CameraError
from edgefer.portrait import read_portrait, view
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Camera, Due, Frame, always
from edgefer_device.cameras.opening import camera_address, open_camera
from edgefer_device.cameras.portrait import RATE

STAND_IN = "the demo portrait, not waited for"
LOOPED = ("file", "images")
"""Cameras that end by themselves unless told to begin again."""


class Drawn:
    """What `demo:` shows, as fast as it is asked for; its clock is the pictures' own."""

    live = False

    def __init__(self, picture: Pixels) -> None:
        self._picture, self._closed = picture, threading.Event()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the view of each fifteenth of a second until `close`."""
        for number in count():
            if self._closed.is_set():
                return
            if due(number / RATE):
                yield Frame(view(self._picture, number / RATE), number / RATE, number)

    def close(self) -> None:
        """End the frames; again is allowed."""
        self._closed.set()


class Source:
    """A camera's address, or None for the stand-in."""

    def __init__(self, uri: str | None) -> None:
        """Raise `SettingsError` for an address that is none."""
        self._uri = None if uri is None else looped(uri)
        self.name = uri or STAND_IN

    def open(self) -> Camera:
        """Open it; raises `CameraError`."""
        if self._uri is not None:
            return open_camera(self._uri)
        return Drawn(read_portrait())

    def pictures(self, most: int) -> list[Pixels]:
        """Return its first pictures, BGR; raise `CameraError` where there is none."""
        with closing(self.open()) as camera:
            found = [frame.image for frame in islice(camera.frames(), most)]
        if not found:
            raise CameraError(f"{self.name}: gave no picture; name another with --camera")
        return found


def looped(uri: str) -> str:
    """Return a camera's address such that it gives pictures for as long as they are wanted."""
    order = camera_address(uri)
    if order.scheme not in LOOPED or order.options.loop:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}loop=1"
