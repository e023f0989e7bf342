"""The watchdog's food: it is given for work that was done, never for time that has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgefer_device.daemon.systemd import Notifier

SHARE = 1 / 4
"""Of the watchdog's time, after which the work is looked at again."""
USUAL_SECONDS = 5.0
"""How often the status line is renewed where no watchdog watches."""


class Watchdog:
    """Feeds systemd's watchdog while the counted work goes on, or rests on purpose.

    `work` counts what was done: frames analysed, and tries to open a lost camera again. A
    thread that hangs does neither, however well the event loop is.
    """

    def __init__(
        self,
        notifier: Notifier,
        work: Callable[[], int],
        resting: Callable[[], bool],
        status: Callable[[], str],
    ) -> None:
        self._notifier, self._work, self._resting, self._status = notifier, work, resting, status
        self._done = -1

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        limit = self._notifier.watchdog
        return USUAL_SECONDS if limit is None else limit * SHARE

    async def keep(self) -> None:
        """Look at the work for ever."""
        while True:
            self.look()
            await asyncio.sleep(self.interval)

    def look(self) -> bool:
        """Feed if anything was done since the last look; return whether it was."""
        done = self._work()
        well = done != self._done or self._resting()
        self._done = done
        if well:
            self._notifier.alive()
        self._notifier.status(self._status())
        return well
