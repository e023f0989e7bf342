"""Handover of the newest frame from one thread to another."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Slot for one item between two threads.

    With `lossy` a new item replaces one that was not taken; without it `put` waits.
    """

    def __init__(self, lossy: bool) -> None:
        self._lossy = lossy
        self._items: list[T] = []
        self._ended = False
        self._changed = threading.Condition()
        self.dropped = 0
        """Items that were replaced before they were taken."""

    def put(self, item: T) -> bool:
        """Put an item; False after the end, when it is not kept."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._lossy or not self._items)
            if not self._ended:
                self.dropped += len(self._items)
                self._items = [item]
                self._changed.notify_all()
            return not self._ended

    def take(self) -> T | None:
        """Wait for an item and return it; None after the end, once nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._items)
            item = self._items.pop() if self._items else None
            self._changed.notify_all()
            return item

    def end(self, drop: bool = False) -> None:
        """Accept nothing more; an item in the slot can still be taken, unless it is to `drop`."""
        with self._changed:
            self._ended = True
            self._items = [] if drop else self._items
            self._changed.notify_all()
