"""The `demo:` camera, a live one that is always there: it moves over a public-domain portrait."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from edgefer.portrait import read_portrait, view
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.system.clock import Clock

RATE = 15
"""Frames a second."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`demo:` has none of its own."""


class Portrait:
    """A slow camera move over one image, 15 frames a second."""

    live = True

    def __init__(self, image: Pixels, clock: Clock) -> None:
        self._image, self._clock = image, clock
        self._closed = threading.Event()

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the view of each moment until `close`."""
        number = 0
        while not self._closed.is_set():
            now = self._clock()
            if due(now):
                yield Frame(view(self._image, now), now, number)
            number += 1
            self._closed.wait((math.floor(now * RATE) + 1) / RATE - self._clock())

    def close(self) -> None:
        """End the frames; again is allowed."""
        self._closed.set()


def open_portrait(clock: Clock) -> Portrait:
    """Open the portrait that scikit-image carries; raise `CameraNotFound` without it."""
    return Portrait(read_portrait(), clock)
