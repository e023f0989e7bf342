"""What may be asked of a running daemon, by whoever may ask: a page, a broker, a signal.

`Controls` holds what was asked for; those who obey listen to it. It may be used from
any thread, and knows nothing of the event loop.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgefer.files import write_atomic

log = logging.getLogger(__name__)

FILE = "paused"
"""The file in the state folder by which a pause outlives the daemon."""
THRESHOLDS = (0.05, 0.95)
"""Least and greatest threshold that can be set while the daemon runs."""


@dataclass(frozen=True, slots=True)
class ControlState:
    """All that is asked for now."""

    paused: bool = False
    """The camera is to be closed, and nothing to be read."""
    threshold: float | None = None
    """Smoothed probability that a label needs before it is said, 0..1; None: as configured."""
    restart: bool = False
    """The daemon is to end and to be started again."""


Listener = Callable[[ControlState], None]
"""Called after each change, in the thread that made it: it must return at once."""


class Controls:
    """Takes wishes and tells those who listen; a wish that changes nothing is not told."""

    def __init__(self) -> None:
        self._state = ControlState()
        self._listeners: list[Listener] = []
        # Listeners may ask in their turn, and must hear of changes in their order.
        self._lock = threading.RLock()

    @property
    def state(self) -> ControlState:
        """All that is asked for now."""
        return self._state

    @property
    def paused(self) -> bool:
        """Whether the camera is to be closed."""
        return self._state.paused

    @property
    def threshold(self) -> float | None:
        """The threshold that was set while the daemon ran; None: none was."""
        return self._state.threshold

    @property
    def restart(self) -> bool:
        """Whether the daemon is to end and to be started again."""
        return self._state.restart

    def pause(self) -> None:
        """Ask for the camera to be closed until `resume`."""
        self._change(paused=True)

    def resume(self) -> None:
        """Ask for the camera to be opened again."""
        self._change(paused=False)

    def set_threshold(self, threshold: float) -> None:
        """Ask for another threshold; raise `ValueError` outside of `THRESHOLDS`."""
        least, greatest = THRESHOLDS
        if not least <= threshold <= greatest:
            raise ValueError(f"threshold must be {least:g} to {greatest:g}, got {threshold:g}")
        self._change(threshold=threshold)

    def request_restart(self) -> None:
        """Ask for the daemon to end and to be started again by who keeps it alive."""
        self._change(restart=True)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have every later change told to `listener`; return what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def _change(self, **changes: object) -> None:
        with self._lock:
            state = replace(self._state, **changes)  # type: ignore[arg-type]  # fields by name
            if state == self._state:
                return
            self._state = state
            for listener in tuple(self._listeners):
                listener(state)


class PauseMemory:
    """Keeps in a file whether the daemon is paused, so that no restart opens the camera."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @property
    def paused(self) -> bool:
        """Whether a pause was kept."""
        return self._path.exists()

    def keep(self, state: ControlState) -> None:
        """Write or remove the file: a `controls` listener; a disk that refuses is said, once."""
        try:
            if state.paused:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_atomic(self._path, b"The camera stays closed until: edgefer resume\n")
            else:
                self._path.unlink(missing_ok=True)
        except OSError as exc:
            log.warning("%s: the pause will not outlive a restart: %s", self._path, exc.strerror)
