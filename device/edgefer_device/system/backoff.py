"""Waits between attempts that fail: doubled up to a limit, and shortened at random."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Seconds to wait before each next attempt.

    for failure in attempts:
        await asyncio.sleep(backoff.next())   # after a success: backoff.reset()

    With a `jitter` (0..1 from `random.random`), a wait is cut by up to half, so that many devices
    do not come back in the same moment; without, each wait is exact.
    """

    def __init__(
        self, first: float, limit: float, jitter: Callable[[], float] | None = random.random
    ) -> None:
        self._first, self._limit, self._jitter = first, limit, jitter
        self._wait = first

    @property
    def limit(self) -> float:
        """The longest wait, seconds."""
        return self._limit

    def next(self) -> float:
        """Return the seconds to wait now; the next wait is twice as long."""
        wait, self._wait = self._wait, min(2 * self._wait, self._limit)
        return wait if self._jitter is None else wait * (1 + self._jitter()) / 2

    def reset(self) -> None:
        """Begin with the first wait again."""
        self._wait = self._first
