"""A limit on how often something may happen."""

from __future__ import annotations

import time
from collections import deque

from edgefer_device.system.clock import Clock


class RateLimit:
    """Allow `most` events within `seconds`."""

    def __init__(self, most: int, seconds: float, clock: Clock = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._allowed: deque[float] = deque([float("-inf")] * most, maxlen=most)

    def allows(self) -> bool:
        """Count an event; return whether it is within the limit."""
        now = self._clock()
        if now - self._allowed[0] < self._seconds:
            return False
        self._allowed.append(now)
        return True
