"""`faulty:`, any other camera with the faults of real ones, on a schedule that repeats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import cycle, islice
from typing import Annotated

import numpy as np

from edgefer.errors import CameraLost, CameraNotFound
from edgefer.preprocess import Pixels
from edgefer_device.cameras.camera import Due, Frame, always
from edgefer_device.cameras.managed import Opened
from edgefer_device.system.address import count, seconds
from edgefer_device.system.clock import Clock

TEAR = 1 / 3
"""Share of the width by which the older part of a torn frame lies aside."""
GAIN, OFFSET = 3, 120
"""What over-exposure does to a pixel: times, plus."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The options of `faulty:`: which faults, and how long each.

    After every `every` good frames one strikes, in this order and then again. Where
    none is named, all do, for 2 s or 10 frames each.
    """

    every: Annotated[int, count(1, 1_000_000)] = 100
    """Good frames between two faults."""
    stall: Annotated[float, seconds] = 0.0
    """Seconds for which the camera gives nothing."""
    torn: Annotated[int, count(1, 10_000)] = 0
    """Frames whose lower half is the one before, aside."""
    gone: Annotated[float, seconds] = 0.0
    """Seconds for which the camera is unplugged: it is lost, and cannot be opened."""
    black: Annotated[int, count(1, 10_000)] = 0
    """Frames without light."""
    bright: Annotated[int, count(1, 10_000)] = 0
    """Frames with far too much."""

    @property
    def chosen(self) -> list[tuple[str, float]]:
        """The faults that strike, each with its seconds or its frames."""
        kinds = [one.name for one in fields(self) if one.name != "every"]
        named = [(kind, float(getattr(self, kind))) for kind in kinds if getattr(self, kind)]
        everything = [(kind, 2.0 if kind in ("stall", "gone") else 10.0) for kind in kinds]
        return named or everything


class FaultyCamera:
    """A camera with a schedule of faults that goes on through disconnections."""

    def __init__(
        self,
        open_camera: Callable[[], Opened],
        faults: Faults,
        clock: Clock,
        *,
        reopens: bool = True,
        waiting: threading.Event | None = None,
    ) -> None:
        """Take how to open the camera inside, again after a loss of its own where it `reopens`.

        A stall is waited out with `waiting`, which is set while nothing is open.
        """
        self._open, self._faults, self._clock, self._reopens = open_camera, faults, clock, reopens
        self._waiting = waiting or threading.Event()
        self._opened: Opened | None = None
        self._schedule: Iterator[Frame | float] = iter(())
        self._back = -np.inf
        self.live = True

    def open(self) -> Opened:
        """Open the camera; raise `CameraNotFound` while it is unplugged."""
        if self._clock() < self._back:
            raise CameraNotFound("faulty: is unplugged, as its options say")
        if self._opened is None:
            self._opened = self._open()
            self.live = self._opened[0].live
            self._schedule = self._struck(self._opened[0].frames())
            self._waiting.clear()
        return self, self._opened[1]

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames, whole and damaged; raise `CameraLost` when it is unplugged."""
        while (step := self._next()) is not None:
            if isinstance(step, float):
                self._back = self._clock() + step
                raise CameraLost("faulty: was unplugged, as its options say")
            if due(step.time):
                yield step

    def close(self) -> None:
        """Do nothing: the schedule goes on until `release`."""

    def release(self) -> None:
        """Close the camera inside; again is allowed."""
        self._waiting.set()
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def _next(self) -> Frame | float | None:
        try:
            return next(self._schedule, None)
        except CameraLost:
            if self._reopens:
                self.release()
            raise

    def _struck(self, source: Iterator[Frame]) -> Iterator[Frame | float]:
        """Yield frames as the schedule leaves them; a number unplugs for so many seconds."""
        older: Pixels | None = None
        for kind, length in cycle(self._faults.chosen):
            for _ in range(self._faults.every):
                if (frame := next(source, None)) is None:
                    return
                older = frame.image
                yield frame
            if kind == "stall":
                self._waiting.wait(length)
            elif kind == "gone":
                yield length
            else:
                for frame in islice(source, int(length)):
                    yield replace(frame, image=DAMAGE[kind](frame.image, older))


def torn(image: Pixels, older: Pixels | None) -> Pixels:
    """Return a frame (H, W, 3) whose lower half is an older one, aside."""
    before = image if older is None or older.shape != image.shape else older
    half, aside = image.shape[0] // 2, int(TEAR * image.shape[1])
    return np.concatenate([image[:half], np.roll(before[half:], aside, axis=1)])


def black(image: Pixels, _: Pixels | None) -> Pixels:
    """Return a frame without light."""
    return np.zeros_like(image)


def bright(image: Pixels, _: Pixels | None) -> Pixels:
    """Return a frame with so much light that hardly anything is left of it."""
    lit = GAIN * image.astype(np.uint16) + OFFSET
    return np.minimum(lit, 255).astype(np.uint8)


DAMAGE: dict[str, Callable[[Pixels, Pixels | None], Pixels]] = {
    "torn": torn,
    "black": black,
    "bright": bright,
}
"""By fault: what becomes of a frame, given the last good one."""
