"""The camera that the pipeline reads: reopened when it is lost, released while paused."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from edgefer.errors import CameraLost
from edgefer_device.cameras.camera import Camera, Due, Frame, View, always
from edgefer_device.cameras.recorded import Portrait
from edgefer_device.system.backoff import Backoff
from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

BACKOFF_SECONDS = (0.25, 4.0)
"""First and longest wait before reopening: a camera is back within 10 s of being plugged in, with
the time that its own start takes."""

Opened = tuple[Camera, View]
"""An open camera, and what is still to be done to its frames."""


class PauseSwitch(Protocol):
    """The switch by which a camera is paused."""

    @property
    def paused(self) -> bool:
        """Whether the camera is to be closed now."""
        ...

    def listen(self, listener: Callable[[object], None]) -> Callable[[], None]:
        """Call `listener` after each later change, in any thread; return what ends that."""
        ...


class NeverPaused:
    """The switch of a camera that is never paused."""

    paused = False

    def listen(self, _: Callable[[object], None]) -> Callable[[], None]:
        """Do nothing: there are no changes."""
        return lambda: None


class Timeline:
    """One count and one time of frames over all openings of a camera."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._start = clock, clock()
        self._offset, self._reopened = 0.0, False
        self.number, self.time = -1, 0.0

    def reopen(self) -> None:
        """Expect a camera whose own time may start anew; it then goes on from now."""
        self._reopened = True

    def advance(self, own: float) -> float:
        """Return the time of the next frame, for its time by the camera, seconds."""
        if self._reopened and self._offset + own < self.time:
            self._offset = max(self._clock() - self._start, self.time) - own
        self._reopened = False
        self.number, self.time = self.number + 1, max(self.time, self._offset + own)
        return self.time


class ManagedCamera:
    """A camera that outlives the loss of its hardware, and holds none while paused.

    Each loss and each return is logged once. A clip that is read as fast as it can be needs no
    privacy: it stays open through a pause, and waits where it is.
    """

    def __init__(
        self,
        open_camera: Callable[[], Opened],
        *,
        reopens: bool = True,
        pause: PauseSwitch | None = None,
        clock: Clock = time.monotonic,
        backoff: Backoff | None = None,
        release: Callable[[], None] = lambda: None,
        closed: threading.Event | None = None,
    ) -> None:
        """Open the camera, unless it `reopens` and is paused now; raises `CameraError`.

        `reopens` is false for what cannot come back: its loss is raised. `release` lets go of what
        outlives a loss, at a pause and at the end. The waits are made with `closed`, which is set
        at the end.
        """
        self._open, self._reopens, self._release_rest = open_camera, reopens, release
        self._pause, self._clock = pause or NeverPaused(), clock
        self._backoff = backoff or Backoff(*BACKOFF_SECONDS, jitter=None)
        self._closed, self._changed = closed or threading.Event(), threading.Condition()
        self._opened = None if reopens and self._pause.paused else open_camera()
        self.live = self._opened[0].live if self._opened else True
        self._lost_at: float | None = None
        self._failed = False
        self.tries = 0
        """Attempts to reopen the camera after a loss: work, though no frame comes of it."""
        if self.live and self._pause.paused:
            self._release()
        self._end_listening = self._pause.listen(self._on_change)

    @property
    def open(self) -> bool:
        """Whether the camera is held now."""
        return self._opened is not None

    @property
    def is_portrait(self) -> bool:
        """Whether what is open now is the demo's portrait."""
        opened = self._opened
        return opened is not None and isinstance(opened[0], Portrait)

    def frames(self, due: Due = always) -> Iterator[Frame]:
        """Yield frames until the camera ends by itself or `close`; raises as `View.apply`."""
        timeline = Timeline(self._clock)
        while (opened := self._ready()) is not None:
            camera, view = opened
            began = self._clock()
            try:
                for frame in camera.frames(lambda own: self._wanted(own, timeline, due)):
                    if self._pause.paused and not self._hold():
                        break
                    yield Frame(view.apply(frame.image), timeline.time, timeline.number)
                else:
                    if self._opened is opened:
                        return
            except CameraLost as exc:
                if not self._reopens:
                    raise
                # One that fails again at once is not asked as often as one that had lasted.
                if self._clock() - began >= self._backoff.limit:
                    self._backoff.reset()
                self._on_lost(exc)
            self._close(opened)
            timeline.reopen()

    def close(self) -> None:
        """Release the camera and open it no more; again is allowed."""
        self._end_listening()
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._release()

    def _wanted(self, own: float, timeline: Timeline, due: Due) -> bool:
        if self._lost_at is not None:
            log.info("the camera is back, after %.1f s", self._clock() - self._lost_at)
            self._lost_at = None
        return due(timeline.advance(own))

    def _ready(self) -> Opened | None:
        """Wait out a loss and a pause; return the open camera, None once closed."""
        while not (self._failed and self._closed.wait(self._backoff.next())):
            with self._changed:
                self._changed.wait_for(self._may_go_on)
                if self._closed.is_set() or self._opened is not None:
                    return None if self._closed.is_set() else self._opened
            self.tries += self._failed
            try:
                opened = self._open()
            except OSError as exc:  # a `CameraError` is one, and so is no file left to open
                self._on_lost(exc)
                continue
            self._failed = False
            with self._changed:
                if not self._closed.is_set() and not self._pause.paused:
                    self._opened = opened
                    return opened
            opened[0].close()
            self._release_rest()
        return None

    def _may_go_on(self) -> bool:
        return self._closed.is_set() or not self._pause.paused

    def _hold(self) -> bool:
        """Wait out a pause with a clip in hand; False where the camera is to be closed."""
        if self.live:
            return False
        with self._changed:
            self._changed.wait_for(self._may_go_on)
        return not self._closed.is_set()

    def _on_change(self, _: object) -> None:
        """Close at once on a pause: a camera that stalls would be held for seconds more."""
        if self._pause.paused and self.live:
            # Who pauses must not wait for a driver.
            threading.Thread(target=self._release, name="closing the camera", daemon=True).start()
        with self._changed:
            self._changed.notify_all()

    def _on_lost(self, error: OSError) -> None:
        self._failed = True
        if self._lost_at is None and not self._closed.is_set():
            self._lost_at = self._clock()
            log.warning("%s; trying to reopen it", error)
        else:
            log.debug("still not there: %s", error)

    def _close(self, opened: Opened) -> None:
        """Close an opening, unless it was released already."""
        with self._changed:
            mine = self._opened is opened
            if mine:
                self._opened = None
        if mine:
            opened[0].close()

    def _release(self) -> None:
        """Hold nothing any longer."""
        with self._changed:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()
        self._release_rest()
