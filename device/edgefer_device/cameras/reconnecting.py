"""Opening a camera again after it was lost: the one place where that is done, for all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from edgefer.errors import CameraError, CameraLost
from edgefer_device.cameras.camera import Camera, Due, Frame, always
from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

BACKOFF_SECONDS = (0.25, 4.0)
"""The first wait before opening again, doubled up to the last: a camera is back within 10 s of
being plugged in, with the time that its own start takes."""


class Reopening:
    """A camera that outlives its hardware.

    When the camera inside is lost it is closed and opened again until that succeeds.
    Each loss and each return is logged once. Frames keep one count and one time over all
    that; there are none meanwhile.
    """

    def __init__(
        self,
        camera: Camera,
        reopen: Callable[[], Camera],
        clock: Clock,
        waiting: threading.Event | None = None,
        beneath: Camera | None = None,
    ) -> None:
        """Take an open camera and how to open it again.

        `waiting` is what the waits between two tries are made with, and is set at the end;
        `beneath` is a camera that outlives the losses, and is closed at the end.
        """
        self.live = camera.live
        self._beneath = beneath
        self._camera, self._reopen, self._clock = camera, reopen, clock
        self._closed = waiting or threading.Event()
        self._changing = threading.Lock()
        self._wait = BACKOFF_SECONDS[0]
        self._lost: float | None = None
        self.tries = 0
        """How often it was tried to open the camera again: work, though no frame comes of it."""

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames until `close`, or until the camera ends by itself."""
        number, time, camera = 0, 0.0, self._camera

        def wanted(now: float) -> bool:
            nonlocal number, time
            self._welcome()
            number, time = number + 1, max(time, now)
            return due(time)

        while True:
            began = self._clock()
            try:
                for frame in camera.frames(wanted):
                    time = max(time, frame.time)
                    yield Frame(frame.picture, time, number - 1)
                return
            except CameraLost as exc:
                # One that fails again at once is not asked as often as one that had lasted.
                if self._clock() - began >= BACKOFF_SECONDS[1]:
                    self._wait = BACKOFF_SECONDS[0]
                self._mourn(exc)
            camera.close()
            again = self._opened_again()
            if again is None:
                return
            camera = again

    def close(self) -> None:
        """Release the camera and open it no more."""
        self._closed.set()
        with self._changing:
            camera = self._camera
        camera.close()
        if self._beneath is not None:
            self._beneath.close()

    def _opened_again(self) -> Camera | None:
        """Wait and try until the camera opens; None once closed."""
        while not self._closed.wait(self._wait):
            self._wait = min(2 * self._wait, BACKOFF_SECONDS[1])
            self.tries += 1
            try:
                camera = self._reopen()
            except CameraError as exc:
                log.debug("still not there: %s", exc)
                continue
            with self._changing:
                self._camera = camera
            if self._closed.is_set():
                # `close` may have been at the one before.
                camera.close()
            return camera
        return None

    def _mourn(self, error: CameraLost) -> None:
        if self._lost is None and not self._closed.is_set():
            self._lost = self._clock()
            log.warning("%s; trying to open it again", error)

    def _welcome(self) -> None:
        if self._lost is not None:
            log.warning("the camera is back, after %.1f s", self._clock() - self._lost)
            self._lost = None
