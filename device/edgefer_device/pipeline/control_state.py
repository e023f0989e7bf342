"""State that a page, a broker or a signal may request of the running daemon."""

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
    """What is requested now."""

    paused: bool = False
    """The camera is to be closed, and no face to be read."""
    threshold: float | None = None
    """Filtered probability that a label needs to be reported, 0..1; None: as configured."""
    restart: bool = False
    """The daemon is to end and be started again."""
    weeks: int = 0
    """How often the mirror was asked to show its week."""


Listener = Callable[[ControlState], None]
"""Called after each change, in the thread that made it: it must return at once."""


class Controls:
    """Holds the requested state and calls listeners on each change; for any thread."""

    def __init__(self) -> None:
        self._state = ControlState()
        self._listeners: list[Listener] = []
        # Listeners may request changes in their turn, and are called in the order of changes.
        self._lock = threading.RLock()

    @property
    def state(self) -> ControlState:
        """What is requested now."""
        return self._state

    @property
    def paused(self) -> bool:
        """Whether the camera is to be closed."""
        return self._state.paused

    @property
    def threshold(self) -> float | None:
        """As in `ControlState`."""
        return self._state.threshold

    @property
    def restart(self) -> bool:
        """As in `ControlState`."""
        return self._state.restart

    def pause(self) -> None:
        """Close the camera until `resume`."""
        self._change(paused=True)

    def resume(self) -> None:
        """Open the camera again."""
        self._change(paused=False)

    def set_threshold(self, threshold: float) -> None:
        """Set another threshold; raise `ValueError` outside of `THRESHOLDS`."""
        least, greatest = THRESHOLDS
        if not least <= threshold <= greatest:
            raise ValueError(f"threshold must be {least:g} to {greatest:g}, got {threshold:g}")
        self._change(threshold=threshold)

    def show_week(self) -> None:
        """Open the mirror's weekly view."""
        with self._lock:
            self._change(weeks=self._state.weeks + 1)

    def request_restart(self) -> None:
        """End the daemon, to be started again."""
        self._change(restart=True)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every later change; return what ends that."""
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
    """File by which a pause outlives the daemon, so that no restart opens the camera."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @property
    def paused(self) -> bool:
        """Whether a pause was kept."""
        return self._path.exists()

    def keep(self, state: ControlState) -> None:
        """Write or remove the file; a listener of `Controls`. A failure is logged, not raised."""
        try:
            if state.paused:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_atomic(self._path, b"The camera stays closed until: edgefer resume\n", 0o600)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as exc:
            log.warning("%s: the pause will not outlive a restart: %s", self._path, exc.strerror)
