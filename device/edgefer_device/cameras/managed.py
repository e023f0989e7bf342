"""A camera that is closed while everything is paused."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from edgefer.errors import CameraError
from edgefer_device.cameras.camera import Camera, Due, Frame, always
from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""Between two tries to open a camera that was there before the pause and is not after it."""


class PauseSwitch(Protocol):
    """What a camera needs of whoever may pause it."""

    @property
    def paused(self) -> bool:
        """Whether the camera is to be closed now."""
        ...

    def listen(self, listener: Callable[[object], None]) -> Callable[[], None]:
        """Call `listener` after each later change, in any thread; return what ends that."""
        ...


class Pausable:
    """A camera that lets go of its hardware while `controls` ask for a pause.

    Its frames keep one count and one time over all pauses. A clip that is read as fast as
    it can be is no eye on anyone: it stays open, and waits where it is.
    """

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        controls: PauseSwitch,
        hardware: bool,
        clock: Clock = time.monotonic,
    ) -> None:
        """Open the camera, unless it is `hardware` and paused now; raises `CameraError`."""
        self._open, self._controls, self._clock = open_camera, controls, clock
        self._start = clock()
        self._changed = threading.Condition()
        self._closed = False
        self._camera = None if hardware and controls.paused else open_camera()
        self.live = True if self._camera is None else self._camera.live
        if self.live and controls.paused:
            self._release()
        self._end_listening = controls.listen(self._obey)

    @property
    def tries(self) -> int:
        """How often a lost camera was tried to be opened again."""
        return int(getattr(self._camera, "tries", 0))

    @property
    def open(self) -> bool:
        """Whether the hardware is held now."""
        return self._camera is not None

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield the camera's frames whenever there is no pause, until it ends or `close`."""
        number, last, offset = 0, 0.0, 0.0

        def wanted(now: float) -> bool:
            nonlocal number, last
            number, last = number + 1, max(last, offset + now)
            return due(last)

        while (camera := self._ready()) is not None:
            for frame in camera.frames(wanted):
                if self._controls.paused and not self._waited(camera):
                    break
                last = max(last, offset + frame.time)
                yield replace(frame, time=last, number=number - 1)
            if self._camera is camera and not (self.live and self._controls.paused):
                return
            self._release()
            offset = self._clock() - self._start

    def close(self) -> None:
        """Release the camera and open it no more; again is allowed."""
        self._end_listening()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._release()

    def _ready(self) -> Camera | None:
        """Wait for the end of a pause and return the open camera; None once closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or not self._controls.paused)
                if self._closed or self._camera is not None:
                    return None if self._closed else self._camera
            try:
                camera = self._open()
            except CameraError as exc:
                log.warning("%s; trying again every %g s", exc, RETRY_SECONDS)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)
                continue
            with self._changed:
                if not self._closed:
                    self._camera = camera
                    continue
            camera.close()

    def _waited(self, camera: Camera) -> bool:
        """Wait out a pause with a clip in hand; False where the camera is to be closed."""
        if camera.live:
            return False
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._controls.paused)
        return not self._closed

    def _obey(self, _: object) -> None:
        """Close at once on a pause: a camera that stands still would be held for seconds more."""
        if self._controls.paused and self.live:
            # Whoever asked must not wait for a driver.
            threading.Thread(target=self._release, name="closing the camera", daemon=True).start()
        with self._changed:
            self._changed.notify_all()

    def _release(self) -> None:
        with self._changed:
            camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
