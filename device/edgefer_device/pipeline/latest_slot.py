"""Where one thread leaves a frame for another: it holds one, the newest."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """A place for one item between two threads.

    With `lossy` a new item replaces one that nobody took; without it `put` waits
    until the place is free.
    """

    def __init__(self, lossy: bool) -> None:
        self._lossy = lossy
        self._items: list[T] = []
        self._ended = False
        self._changed = threading.Condition()
        self.dropped = 0
        """Items that were replaced before anyone took them."""

    def put(self, item: T) -> bool:
        """Leave an item; False once the end was said, and the item is not kept."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._lossy or not self._items)
            if self._ended:
                return False
            self.dropped += len(self._items)
            self._items = [item]
            self._changed.notify_all()
            return True

    def take(self) -> T | None:
        """Wait for an item and return it; None after the end, once nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._items)
            item = self._items.pop() if self._items else None
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """Say that nothing more comes; an item left before can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End at once: what was left is dropped."""
        with self._changed:
            self._ended, self._items = True, []
            self._changed.notify_all()
